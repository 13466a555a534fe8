"""System calls that fail: each error in each call that a command makes. ``python -m tests.syscalls --help``."""
