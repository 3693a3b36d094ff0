"""The architectures that vitscope trains, put together from timm's building blocks."""
