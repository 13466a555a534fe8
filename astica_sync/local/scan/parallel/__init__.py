"""Other processes and threads for the scan of very many files; ``parallel_workers.py`` is the entry."""
