"""A copy of the backup elsewhere, in a bucket or another folder, and a store that is rebuilt from it."""
