"""The sandbox: a local service with the documented API, which really trains and runs a small classifier.

It imports no other part of the program, so that a wrong reading of the API there is not repeated here.
"""
