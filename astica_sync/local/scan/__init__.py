"""Comparing the store's folders with the index; reading what changed."""
