"""Running a classifier: loading it, choosing a device, and one pass over a data set."""
