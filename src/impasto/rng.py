"""Named random generators: every draw is a function of (seed, purpose, counters).

Nothing in the package touches the global generators, so switching one feature on never shifts the
draws of another, and a resumed run continues exactly where the interrupted one stopped.
"""

from __future__ import annotations

import hashlib

import numpy as np
import torch


def key(seed: int, purpose: str, *counters: int | str) -> int:
    """A 63-bit integer that depends on nothing but its arguments, on every platform."""
    text = "\x1f".join([str(int(seed)), purpose, *map(str, counters)])
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big") >> 1


def generator(seed: int, purpose: str, *counters: int | str) -> torch.Generator:
    """A CPU torch generator for one purpose, e.g. ``generator(seed, "plan", epoch)``."""
    return torch.Generator().manual_seed(key(seed, purpose, *counters))


def numpy_generator(seed: int, purpose: str, *counters: int | str) -> np.random.Generator:
    """A numpy generator (PCG64) for one purpose."""
    return np.random.default_rng(key(seed, purpose, *counters))
