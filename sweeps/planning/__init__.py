"""From a space to the work that is left, its needs and its price."""
