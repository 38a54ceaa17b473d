"""Where a classifier looks, how sure it is, and whether style moves either."""
