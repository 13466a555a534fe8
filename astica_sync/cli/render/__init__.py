"""What commands print: text, progress, metrics."""
