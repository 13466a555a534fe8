"""Processes that share a request budget see each other: what they write to its server, and how that is read."""
