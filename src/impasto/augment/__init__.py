"""Rule-based augmentation on batches."""
