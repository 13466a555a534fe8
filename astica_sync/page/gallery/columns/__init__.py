"""How the columns of the gallery are made, brought up to date, and kept for the next opening."""
