"""Converting images that the service does not take into images that it takes."""
