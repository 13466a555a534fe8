"""A deterministic simulation of the whole engine: one seeded generator decides everything that can happen."""
