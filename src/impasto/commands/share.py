"""Send what was computed here to the DVC remote."""

from __future__ import annotations

from impasto.report.wording import plural
from impasto.shared_runs import share_runs
from impasto.stages.command import command
from impasto.workspace import main_root


@command
def share() -> None:
    """`dvc push --run-cache`, and the results of runs that it leaves behind: metrics, and all that is not committed."""
    print(f"{plural(share_runs(main_root()), 'result')} of runs in the remote: `dvc repro --pull` restores them")
