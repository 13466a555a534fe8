"""Decisions of a push: the decision table, the planner, the guard."""
