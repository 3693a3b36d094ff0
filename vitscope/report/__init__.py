"""From a classifier and images to a folder with numbers, tables and figures."""
