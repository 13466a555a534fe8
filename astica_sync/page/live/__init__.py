"""What happens while the page is open: pushes, trainings, changes by others, and the stream that reports them."""
