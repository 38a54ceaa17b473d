"""Validate the whole of params.yaml before anything runs."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Annotated

import typer

from impasto.config.all import check as check_sections
from impasto.config.base import flatten, load, nearest, read_yaml
from impasto.config.dataset import NATIVE, Dataset
from impasto.config.evaluate import Evaluate
from impasto.config.finetune import Finetune
from impasto.config.model import PACKAGE, WEIGHTS, Model
from impasto.config.synthetic import POOLS
from impasto.config.train import Train
from impasto.config.tune import Tune
from impasto.corrupted.published import PUBLISHED
from impasto.corruptions.sets import BENCHMARKS, NAMES
from impasto.data.origin import FOLDER
from impasto.errors import ImpastoError
from impasto.io import write_text
from impasto.models.timm_names import require_network
from impasto.private import require_private
from impasto.stages.command import PARAMS, Out, Params, command, run, stage
from impasto.workspace import main_root

PATHS = (
    "dataset.root", "synthetic.root", "style.root", "evaluate.root", "evaluate.frost_bank", "evaluate.reference",
    "model.weights", "style.encoder_weights", "style.decoder.weights", "fid.weights",
)  # fmt: skip


@command
def check(
    out: Out,
    private: Annotated[bool, typer.Option("--private", help="See that images stay out of remotes.")] = False,
    params: Params = PARAMS,
) -> None:
    """Validate params.yaml against the schema, and for images that must not be passed on the marks in dvc.yaml.

    The token is the same for every valid file, so a changed parameter invalidates nothing by itself.
    """
    check_sections(params)
    _known_corruptions(params)
    _existing_paths(params)
    _photographed_frost(params)
    _known_network(params)
    if private or load(params, Dataset).name == "kaokore":
        require_private(params.with_name("dvc.yaml"))
    with stage("check", params, None):
        write_text(out, "params.yaml is valid\n")


def _known_corruptions(params: Path) -> None:
    config, known = load(params, Evaluate), [*NAMES, *BENCHMARKS]
    lists = {"evaluate.corruptions": config.corruptions, "evaluate.c_bar": config.c_bar}
    lists |= {"tune.corruptions": load(params, Tune).corruptions}
    for leaf, name in ((leaf, name) for leaf, names in lists.items() for name in names):
        if name not in known:
            where = f"{params}: {leaf}"
            raise ImpastoError(f"unknown corruption {name!r}", where=where, remedy=nearest(name, known))


def _existing_paths(params: Path) -> None:
    """What a late stage would miss is told now."""
    leaves = dict(flatten(read_yaml(params)))
    for leaf in PATHS:
        value = leaves[leaf]
        downloaded = leaf == "dataset.root" and leaves["dataset.name"] in NATIVE and leaves["dataset.published"]
        if downloaded or value in (*POOLS, *WEIGHTS, PACKAGE):  # it comes there, or it is a name
            continue
        if value is not None and not (main_root() / Path(value).expanduser()).exists():
            remedy = "Correct the path, or set null where that is allowed: see docs/parameters.md."
            if leaf == "evaluate.root" and (fetched := _fetched(Path(value), leaves["dataset.name"])):
                remedy = f"Get it with `{fetched}`, or correct the path."
            raise ImpastoError(f"{leaf} = {value!r} does not exist", where=str(params), remedy=remedy)


def _fetched(root: Path, dataset: str) -> str | None:
    """The command that puts the dataset's corrupted set to where it is looked for; None where none is published."""
    name = f"{dataset.replace('_', '-')}-c"
    if name not in PUBLISHED:
        return None
    to = root.parent if root.name == PUBLISHED[name].folder else root
    return f"impasto fetch {name}" + ("" if to == FOLDER else f" --to {to}")


def _photographed_frost(params: Path) -> None:
    """Without photographs frost enters no mean, which leaves nothing for C where it stands alone."""
    config = load(params, Evaluate)
    if config.corrupted == "generated" and config.corruptions == ["frost"]:
        from impasto.corruptions.frost_bank import find  # importing torch takes seconds

        find(main_root() / Path(config.frost_bank).expanduser() if config.frost_bank else None)


def _known_network(params: Path) -> None:
    model = load(params, Model)
    if model.timm is not None:  # importing timm takes seconds
        require_network(model.timm)
    if model.timm is not None or model.attention is not None:
        _fitting_network(params, model)


def _fitting_network(params: Path, model: Model) -> None:
    """What the network alone can tell, without its numbers: strides and sizes of its maps, and how many blocks it has.

    Of one that cannot be built without numbers the training tells it.
    """
    import torch  # takes seconds

    from impasto.models.registry import build, require_blocks

    size, stages = load(params, Dataset).size, load(params, Finetune).stages
    with suppress(RuntimeError), torch.device("meta"), torch.no_grad():
        network = build(model.model_copy(update={"weights": None}), 2, [0.5] * 3, [0.5] * 3, 0).eval()
        require_blocks(network, max([load(params, Train).open or 0, *(stage.open for stage in stages)]))
        if model.attention is not None:
            network(torch.empty(1, 3, size, size))


if __name__ == "__main__":
    run(check)
