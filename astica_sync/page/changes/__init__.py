"""What the page does to the files of the store, and how it is undone."""
