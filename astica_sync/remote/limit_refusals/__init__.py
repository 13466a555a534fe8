"""What the service has refused for its limit."""
