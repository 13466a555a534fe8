"""The watcher: file-system events, the change queue, the watcher of each store and the loop that runs them."""
