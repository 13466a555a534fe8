"""Where an export is written to: a folder, or an archive."""
