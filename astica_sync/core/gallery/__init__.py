"""What the page shows of each image, as values."""
