"""Small versions of images, made in bounded processes and cached by content."""
