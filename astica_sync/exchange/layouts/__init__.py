"""The layouts of data sets, one file for each: how its samples are found, and how it is written."""
