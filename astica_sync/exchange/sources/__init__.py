"""Where a data set is read from: a folder, a zip or tar archive, a bucket."""
