"""Decisions of the watcher: when to look, when a file counts, what to send next."""
