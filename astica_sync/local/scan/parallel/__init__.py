"""The same work in other processes and threads, for stores of very many files."""
