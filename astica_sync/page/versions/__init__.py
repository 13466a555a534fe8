"""The versions of the model, and the difference of their data as images."""
