"""What is decided: pure data and pure functions. No clock, disk, network or randomness in here."""
