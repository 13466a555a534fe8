"""The operating system around the program: this user's folder for state, the check at the door, advice about errors."""
