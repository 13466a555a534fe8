"""Import of data sets that other programs made, and export for them."""
