"""Time and memory of the program, compared with similar tools: ``python -m benchmarks``."""
