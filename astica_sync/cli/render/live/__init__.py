"""What is drawn while a command works: pictures of the facts it reports, and the terminal they are drawn on."""
