"""Results that a notebook shows as tables, and pandas takes as rows."""
