"""Commands that bring data sets in and out, and what they print."""
