"""Which folders are classes, and which are no classes yet."""
