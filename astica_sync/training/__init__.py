"""What is done with a model once its data is there: versions and detection."""
