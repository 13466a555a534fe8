"""Observing the service and planning: everything up to, and without, the first change."""
