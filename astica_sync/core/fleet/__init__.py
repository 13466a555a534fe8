"""The processes that share a request budget, as values."""
