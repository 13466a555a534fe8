"""What is shown of the images of one status: their states, and what to do about those that cannot be samples."""
