"""What makes checkpoints: presets, settings, the training loop and the run folder."""
