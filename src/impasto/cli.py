"""The command line: `impasto STAGE`, and the commands around the pipeline. Each is imported when it is called."""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import version
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from impasto.stages.usage import OneLineCommand, one_line, start

#: Command -> (module, one line of help). The stages come in the order of the pipeline.
COMMANDS = {
    "check": ("impasto.stages.check", "Validate params.yaml."),
    "download": ("impasto.stages.download", "Fetch the original images and convert them to arrays."),
    "split": ("impasto.stages.split", "Divide the training images into training and validation split."),
    "generate": ("impasto.stages.generate", "Fit the generator and sample a pool of synthetic images."),
    "select": ("impasto.stages.select", "Choose the synthetic subset from the pool."),
    "style": ("impasto.stages.style", "Encode the style bank and fit the decoder."),
    "fid": ("impasto.stages.fid", "Measure the Fréchet distance over lambda_s."),
    "train": ("impasto.stages.train", "Train the classifier, once per seed."),
    "finetune": ("impasto.stages.finetune", "Fine-tune it by gradual unfreezing."),
    "evaluate": ("impasto.stages.evaluate", "Measure accuracy, clean and corrupted, on the test split."),
    "explain": ("impasto.stages.explain", "Show where the classifier looks, and which images it finds easy and hard."),
    "report": ("impasto.stages.report", "Write the report, the model card and the summary."),
    "tune": ("impasto.commands.tune", "Search parameters of training: grid, Bayes, population-based training."),
    "preset": ("impasto.commands.preset", "Write a preset into params.yaml and print the difference."),
    "corrupt": ("impasto.commands.corrupt", "Write a corrupted test set, or a picture of all corruptions."),
    "fetch": ("impasto.commands.fetch", "Download a published corrupted test set."),
    "private": ("impasto.commands.private", "Keep images out of DVC remotes, or let them in again."),
    "share": ("impasto.commands.share", "Send to the DVC remote what `dvc push` leaves behind, too."),
    "track": ("impasto.commands.track", "Add MLflow rows of cached experiments; send local runs to a server."),
    "gate": ("impasto.commands.gate", "Fail when a metric got worse than at another revision."),
    "claims": ("impasto.commands.claims", "Judge the claims of the paper from committed runs."),
    "schema": ("impasto.commands.schema", "Print the reference of all parameters."),
}


class LazyGroup(TyperGroup):
    """Lists the commands without importing them: torch alone takes seconds."""

    def list_commands(self, ctx: Any) -> list[str]:
        """The names, in the order of the pipeline."""
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Import one command."""
        if cmd_name not in COMMANDS:
            return None
        module, text = COMMANDS[cmd_name]
        function = getattr(import_module(module), cmd_name)
        app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
        app.command(cmd_name, cls=OneLineCommand, help=text)(function)
        return typer.main.get_command(app)

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Read the options of the group; without any word it is its help that is wanted."""
        with one_line(ctx):
            return super().parse_args(ctx, args or ["--help"])

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Find the command that is meant."""
        with one_line(ctx):
            return super().resolve_command(ctx, args)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write the list of commands."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])


app = typer.Typer(
    cls=LazyGroup,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help="Train image classifiers that survive corruption. `dvc repro` runs the whole pipeline.",
)


def _version(asked: bool) -> None:
    if asked:
        print(version("impasto"))
        raise typer.Exit()


@app.callback()
def callback(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Options of the group itself."""


def main() -> None:
    """Entry point of the ``impasto`` command."""
    start(app)
