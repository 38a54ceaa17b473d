"""Where the main workspace is."""

from __future__ import annotations

import os
from pathlib import Path


def main_root() -> Path:
    """The repository's root: DVC names it in DVC_ROOT, also in temporary and queued experiments."""
    return Path(os.environ.get("DVC_ROOT") or ".").resolve()
