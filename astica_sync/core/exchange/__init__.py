"""Data sets of other programs, as values: what a file of them is, where it goes in the store, and why it cannot."""
