"""Corrupted test sets: published, made here, on disk or made batch by batch."""
