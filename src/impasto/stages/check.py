"""Validate the whole of params.yaml before anything runs."""

from __future__ import annotations

from impasto.config.all import check as check_all
from impasto.io import write_text
from impasto.stages.command import PARAMS, Out, Params, command, run, stage


@command
def check(out: Out, params: Params = PARAMS) -> None:
    """Validate params.yaml against the schema.

    The token is the same for every valid file, so a changed parameter invalidates nothing by itself.
    """
    check_all(params)
    with stage("check", params, None):
        write_text(out, "params.yaml is valid\n")


if __name__ == "__main__":
    run(check)
