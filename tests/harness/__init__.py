"""What tests share: a shell for commands, servers that misbehave, clocks moved by hand, images, processes to kill."""
