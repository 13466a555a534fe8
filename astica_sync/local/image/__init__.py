"""What an image is, and decoding in a bounded process."""
