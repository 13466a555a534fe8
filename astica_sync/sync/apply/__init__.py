"""Carrying a plan out: the pipeline of requests, uploads, removals."""
