"""Keeps a folder of class folders and a remote custom vision model equal."""

__version__ = "0.1.0"
