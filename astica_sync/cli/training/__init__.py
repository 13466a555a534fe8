"""Commands that train, run and compare versions."""
