"""Training and running versions in the sandbox."""
