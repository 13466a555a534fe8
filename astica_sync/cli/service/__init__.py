"""Commands about the account, samples that were made elsewhere, the sandbox and the page."""
