"""The corruptions of -C-bar on batches."""
