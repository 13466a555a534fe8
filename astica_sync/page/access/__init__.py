"""Who may use the page: this machine, the user who opened it, and the page itself."""
