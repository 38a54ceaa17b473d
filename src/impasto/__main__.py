"""``python -m impasto`` is the ``impasto`` command."""

from impasto.cli import main

main()
