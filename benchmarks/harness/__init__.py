"""What the benchmarks share: running commands, figures, reports, test data."""
