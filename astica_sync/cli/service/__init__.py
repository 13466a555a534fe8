"""Commands about the account, the sandbox and the page."""
