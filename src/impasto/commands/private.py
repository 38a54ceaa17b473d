"""Keep images out of DVC remotes, or let them in again."""

from __future__ import annotations

from typing import Annotated

import typer

from impasto.private import mark
from impasto.stages.command import PARAMS, Params, command


@command
def private(
    off: Annotated[bool, typer.Option("--off", help="Let `dvc push` send them again.")] = False, params: Params = PARAMS
) -> None:
    """Mark the outputs of dvc.yaml that hold images `push: false`."""
    changed = mark(params.with_name("dvc.yaml"), not off)
    if changed:
        print(f"{'may' if off else 'must not'} be pushed: {', '.join(changed)}; now commit dvc.yaml")
    else:
        print("nothing to change")
