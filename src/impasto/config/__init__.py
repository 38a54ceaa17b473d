"""The schema of params.yaml, one section a file."""
