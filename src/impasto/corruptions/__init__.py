"""Image corruptions on batches."""
