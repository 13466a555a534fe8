"""Decisions about versions: snapshots, trainings and their versions, matching of unmanaged samples, held-out images."""
