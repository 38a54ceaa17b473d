"""The generator of synthetic images and the selection of a subset."""
