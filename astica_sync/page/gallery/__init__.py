"""The images of the store in columns, with their states."""
