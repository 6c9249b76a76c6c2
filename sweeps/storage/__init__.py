"""Where OUT lies, and which driver owns it."""
