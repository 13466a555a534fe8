"""Which files of a backup its mirror lacks: pure."""
