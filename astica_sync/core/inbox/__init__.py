"""What is in an inbox, as values: the names of its objects, and when it is looked at again."""
