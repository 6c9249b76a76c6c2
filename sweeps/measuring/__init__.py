"""`--check`: what fits on this machine, how fast, and what is wrong with it."""
