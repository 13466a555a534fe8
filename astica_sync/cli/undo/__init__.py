"""Commands that bring earlier data back."""
