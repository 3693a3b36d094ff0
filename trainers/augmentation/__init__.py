"""What is done to training images, in batches, each image by its own draw."""
