"""Real commands, killed at random moments against a sandbox that loses answers."""
