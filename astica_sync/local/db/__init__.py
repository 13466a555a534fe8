"""The SQLite files of a store, and other caches."""
