"""Looks for what spoils a model before it is trained: the same picture twice, wrong labels, bad images."""
