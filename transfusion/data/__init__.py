"""A data set as one table of images: patients, parts, labels, checks, and the cache of its pixels."""
