"""Evaluation of versions on held-out images: which of them count, what each version answers, and its metrics."""
