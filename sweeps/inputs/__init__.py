"""What a sweep trains on and starts from, checked before anything starts."""
