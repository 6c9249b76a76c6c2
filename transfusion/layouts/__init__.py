"""The layouts in which data sets lie on disk, each read into a `Dataset`."""
