"""Commands for every day."""
