"""Benchmarks of a push: its start, speed, processor time, use of the request budget, number of requests."""
