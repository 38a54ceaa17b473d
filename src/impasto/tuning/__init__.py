"""Search: what a trial is, what the methods propose, where trials are computed, and what comes of them."""
