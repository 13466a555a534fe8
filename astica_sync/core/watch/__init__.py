"""Pure rules of the watcher: when to scan, when a written file is complete, what to upload next."""
