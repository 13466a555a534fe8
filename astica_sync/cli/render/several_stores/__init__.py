"""What is shown of the several stores of one model."""
