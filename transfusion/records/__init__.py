"""What a cell leaves on disk, by which code, and who may write it."""
