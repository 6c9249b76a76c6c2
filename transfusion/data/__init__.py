"""A data set as a list of images: patients, parts, labels, checks, and the cache of its pixels."""
