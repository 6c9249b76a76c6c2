"""Ray Tune runs the missing cells; what of the machine they take, and how it all ends."""
