"""The local service: the documented API on this machine, with real training and real detection.

It imports nothing of the rest of the program, so that a misreading there cannot hide behind the same one here.
"""
