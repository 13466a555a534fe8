"""Drives: scan, observe, plan, apply. Decides nothing."""
