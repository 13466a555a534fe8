"""Commands that bring data sets in and out."""
