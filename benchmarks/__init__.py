"""What the program costs, beside the tools people would otherwise use: ``python -m benchmarks``."""
