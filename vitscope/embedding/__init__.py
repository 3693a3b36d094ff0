"""Embeddings: features in two dimensions, how far to trust them, and what can be read from each layer."""
