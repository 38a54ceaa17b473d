"""A stage as a process of its own: ``python -m impasto.stages NAME``, as dvc.yaml calls it.

torch takes seconds to import. An interrupt in that time ends the process at once and says nothing: nothing has begun.
"""

from __future__ import annotations

import signal
import sys
from importlib import import_module
from importlib.util import find_spec


def main() -> None:
    """Import the stage that the first argument names, and run it with the others."""
    before = signal.getsignal(signal.SIGINT)
    if before is not signal.SIG_IGN:  # whoever started us may want to hear the interrupt alone
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    name = sys.argv.pop(1) if len(sys.argv) > 1 else ""
    where = f"impasto.stages.{name}"
    if not name.isidentifier() or find_spec(where) is None:
        sys.exit(_unknown(name))
    module = import_module(where)
    signal.signal(signal.SIGINT, before)
    if not hasattr(getattr(module, name, None), "__wrapped__"):  # a stage is what @command made of a function
        sys.exit(_unknown(name))
    sys.argv[0] = str(module.__file__)  # what messages call the program
    module.run(getattr(module, name))


def _unknown(name: str) -> int:
    print(f"error: there is no stage {name!r} [python -m impasto.stages]. dvc.yaml has the stages.", file=sys.stderr)
    return 2


if __name__ == "__main__":
    main()
