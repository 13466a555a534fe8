"""Benchmarks of the watcher."""
