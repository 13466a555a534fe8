"""What a model would say of an image: the local preview, and the service."""
