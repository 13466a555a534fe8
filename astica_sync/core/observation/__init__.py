"""The samples of an observation, and their uids."""
