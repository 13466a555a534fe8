"""What the service does in the cases that its documentation leaves open, concluded from the answers to a probe."""
