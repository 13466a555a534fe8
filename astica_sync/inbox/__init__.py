"""Images on their way from machines without a key to the one that has it, by a bucket or a folder between them."""
