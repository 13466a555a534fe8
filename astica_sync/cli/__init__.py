"""Arguments, wiring, words for people, exit codes."""
