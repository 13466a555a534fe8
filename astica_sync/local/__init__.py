"""The local truth: disk and SQLite. Knows nothing of the service."""
