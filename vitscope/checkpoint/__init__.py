"""Checkpoints: a file that holds everything to rebuild a model, written whole and read with suspicion."""
