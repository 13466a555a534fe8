"""The watcher: file-system events, the change queue, the main loop and its supervisor."""
