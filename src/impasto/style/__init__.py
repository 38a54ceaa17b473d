"""AdaIN style transfer."""
