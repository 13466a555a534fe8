"""The page in a real browser: opening, scrolling, thumbnails, changes, beside FiftyOne."""
