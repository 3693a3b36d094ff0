"""Images and their labels: reading files, splitting sets, and turning pictures into a model's pixels.

`sources` finds a data set by name or by folder, `imageset` holds one split of it, `images` reads one file,
and `preprocessing` says what a model sees of an image.
"""
