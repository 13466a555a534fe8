"""Commands about the account, the sandbox and background services."""
