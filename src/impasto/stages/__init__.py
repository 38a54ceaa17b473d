"""One command per pipeline stage."""
