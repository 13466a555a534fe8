"""The watch command at work: its process, its metrics and its service unit."""
