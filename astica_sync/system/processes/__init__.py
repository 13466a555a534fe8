"""What the system knows of other processes: their locks, and whether a signal has stopped them."""
