"""What is drawn while a command works: the facts it reports, their pictures, and the terminal they are drawn on."""
