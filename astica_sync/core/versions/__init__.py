"""Decisions about versions: snapshots, whose data a version is, matching, held-out images."""
