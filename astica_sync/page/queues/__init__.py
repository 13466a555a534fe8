"""Images to sort out: near duplicates, images in several classes, and leaks into held-out folders."""
