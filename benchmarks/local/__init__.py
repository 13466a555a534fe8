"""Benchmarks that send nothing: start of a command, status, first scan, planning."""
