"""Presets compose: what lies under, over and between layers, rows and sweeps, and that the rows say what they must."""

from __future__ import annotations

from pathlib import Path

import pytest

from impasto.config.base import flatten, read_yaml
from impasto.config.presets import Presets
from impasto.config.rows import LOGGED, Group, Row
from impasto.errors import ImpastoError
from tiny import ROOT

REAL = Presets(ROOT / "presets")
ROWS = [(group, name, row) for group in REAL.groups.values() for name, row in group.rows.items()]
PAPER = {
    "common": "# Under all\nlambda: 0.0\nlambda_o: 0.0\ntrain: {epochs: 3, batch: 8}",
    "big": "# Large images\ntrain: {batch: 4}",
    "style": "lambda_o: 0.5",
    "big+style": "lambda_o: 0.25",
    "long": "train: {epochs: 9}",
    "rows": """
table1:
  title: Table 1
  columns: [Acc, C]
  rows:
    table1-one: {layers: [big, style], set: {train: {epochs: 5}}, paper: [1, null]}
    table1-two: {layers: [style], set: {lambda: 0.5}, sweep: {lambda_o: [0.1, 0.2], train.batch: [1, 2]}}
    table1-cited: {paper: [2, 3], remark: It is cited.}
""",
}


@pytest.fixture
def made(tmp_path: Path) -> Presets:
    """One overlay that stands alone, and a paper's layers."""
    (tmp_path / "paper").mkdir()
    (tmp_path / "alone.yaml").write_text("# Alone\nlambda: 1.0\n")
    for name, text in PAPER.items():
        (tmp_path / "paper" / f"{name}.yaml").write_text(text)
    return Presets(tmp_path)


@pytest.mark.parametrize(
    ("words", "leaves"),
    [
        ("alone", {"lambda": 1.0}),
        ("style", {"lambda": 0.0, "lambda_o": 0.5, "train.epochs": 3, "train.batch": 8}),
        ("big style", {"lambda": 0.0, "lambda_o": 0.25, "train.epochs": 3, "train.batch": 4}),
        ("style big", {"lambda": 0.0, "lambda_o": 0.25, "train.epochs": 3, "train.batch": 4}),
        ("alone style", {"lambda": 0.0, "lambda_o": 0.5, "train.epochs": 3, "train.batch": 8}),
        ("style alone", {"lambda": 1.0, "lambda_o": 0.5, "train.epochs": 3, "train.batch": 8}),
        ("table1-one", {"lambda": 0.0, "lambda_o": 0.25, "train.epochs": 5, "train.batch": 4}),
        ("table1-one long", {"lambda": 0.0, "lambda_o": 0.25, "train.epochs": 9, "train.batch": 4}),
        ("long table1-one", {"lambda": 0.0, "lambda_o": 0.25, "train.epochs": 5, "train.batch": 4}),
    ],
)
def test_later_layers_lie_over_earlier_ones(made: Presets, words: str, leaves: dict[str, object]) -> None:
    found = made.compose(words.split())
    assert found.leaves == leaves and found.sweep == {} and list(found.points()) == [{}]


def test_a_sweep_keeps_its_leaves_apart(made: Presets) -> None:
    found = made.compose(["table1-two"])
    assert found.leaves == {"lambda": 0.5, "train.epochs": 3}
    assert [tuple(point.values()) for point in found.points()] == [(0.1, 1), (0.1, 2), (0.2, 1), (0.2, 2)]
    assert all(list(point) == ["lambda_o", "train.batch"] for point in found.points())


@pytest.mark.parametrize(
    ("words", "batch", "sweep"),
    [
        ("table1-two big", 4, []),  # which has lambda_o in common with style
        ("table1-two long", None, ["lambda_o", "train.batch"]),
        ("big table1-two", None, ["lambda_o", "train.batch"]),
        ("table1-two alone", None, ["lambda_o", "train.batch"]),
    ],
)
def test_a_later_layer_ends_a_sweep(made: Presets, words: str, batch: int | None, sweep: list[str]) -> None:
    found = made.compose(words.split())
    assert found.leaves.get("train.batch") == batch and list(found.sweep) == sweep


def test_an_overlay_with_a_base_lies_over_it(made: Presets) -> None:
    (made.folder / "based.yaml").write_text("# Based\nbase: alone\nlambda_o: 0.75\n")
    both = Presets(made.folder)
    assert both.compose(["based"]).leaves == {"lambda": 1.0, "lambda_o": 0.75}
    assert both.compose(["alone", "based"]).leaves == {"lambda": 1.0, "lambda_o": 0.75}
    with pytest.raises(ImpastoError, match="based and style do not go together"):
        both.compose(["based", "style"])
    (made.folder / "based.yaml").write_text("base: alones\n")
    with pytest.raises(ImpastoError, match=r"based.yaml has the base 'alones', which is no preset"):
        Presets(made.folder).compose(["based"])


@pytest.mark.parametrize("name", ["style", "table1", "table1-cited"])
def test_a_file_with_the_name_of_another_preset_is_told(made: Presets, name: str) -> None:
    (made.folder / f"{name}.yaml").write_text("lambda: 0.5\n")
    with pytest.raises(ImpastoError, match=rf"{name}.yaml .*[Rr]ename"):
        assert Presets(made.folder).rows


def test_names(made: Presets) -> None:
    assert list(made.layers) == ["alone", "big", "long", "style"]
    assert [made.title(name) for name in made.layers] == ["Alone", "Large images", "", ""]
    assert list(made.groups) == ["table1"] and list(made.rows) == ["table1-one", "table1-two", "table1-cited"]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("stile", "there is no preset 'stile' .*Did you mean 'style'"),
        ("style table1-too", "there is no preset 'table1-too' .*Did you mean 'table1-two'"),
        ("common", "there is no preset 'common'"),
        ("big+style", "there is no preset 'big.style'"),
        ("table1-cited", "table1-cited has no preset: It is cited.*docs/results.md"),
        ("table1 style", "table1 is a list of 3 rows, no preset .*`impasto preset table1` alone"),
        ("style table1-one", "style stands twice, in style and in table1-one"),
        ("style style", "style stands twice .*Name it once"),
    ],
)
def test_what_is_no_preset_is_told(made: Presets, words: str, told: str) -> None:
    with pytest.raises(ImpastoError, match=told):
        made.compose(words.split())


def test_a_wrong_list_of_rows_is_told(made: Presets) -> None:
    file = made.folder / "paper" / "rows.yaml"
    file.write_text(PAPER["rows"].replace("layers: [style]", "layer: [style]"))
    with pytest.raises(ImpastoError, match="table1.rows.table1-two.layer: Extra inputs"):
        Presets(made.folder).compose(["table1-one"])


def test_every_pair_and_every_layer_of_a_row_is_there() -> None:
    assert all(name in REAL.layers for pair in REAL.pairs for name in pair)
    assert all(layer in REAL.layers for _, _, row in ROWS for layer in row.layers)
    assert not set(REAL.layers) & (set(REAL.rows) | set(REAL.groups)) and len(REAL.rows) == len(ROWS)
    assert all(REAL.title(name) for name in REAL.layers), "the first line of a layer says what it is"


def test_all_rows_set_the_same_leaves_and_only_those_of_the_schema() -> None:
    """So that no row depends on what stood in params.yaml before."""
    found = [REAL.compose([name]) for _, name, row in ROWS if row.layers]
    sets = {frozenset([*one.leaves, *one.sweep]) for one in found}
    assert len(sets) == 1
    assert sets.pop() <= set(dict(flatten(read_yaml(ROOT / "params.yaml"))))


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("table2-tiny-imagenet-ours cifar10", "tiny-imagenet and cifar10 are two datasets"),
        ("tiny-imagenet densenet cifar10", "tiny-imagenet and cifar10 are two datasets"),
        ("table5-tiny-imagenet-vit-ours wrn", "vit and wrn are two networks"),
        ("table2-cifar10-ours table5-cifar100-densenet-ours", "syn stands twice, in table2-cifar10-ours and in table5"),
        ("figure6-cifar10-ta figure7-cifar10", "cifar10 stands twice, in figure6-cifar10-ta and in figure7-cifar10"),
        ("ta", "ta has no dataset .*Name one beside it: cifar10, cifar100, tiny-imagenet; or a row"),
        ("cifar10", "cifar10 has no network .*densenet, resnext, vit, wrn"),
        ("wrn faithful", "wrn faithful has no dataset"),
        ("table2-cifar10-ours smoke", "table2-cifar10-ours and smoke do not go together"),
    ],
)
def test_half_a_preset_or_two_are_refused(words: str, told: str) -> None:
    """Each left a network with the strides, or a training with the hyper-parameters, of another one."""
    with pytest.raises(ImpastoError, match=told):
        REAL.compose(words.split())


@pytest.mark.parametrize(
    ("words", "other"),
    [
        ("ta wrn nst syn cifar10", "cifar10 wrn syn nst ta"),
        ("tuning epochs-600 noisymix vit cifar100", "cifar100 vit tuning noisymix epochs-600"),
        ("faithful table2-cifar10-ours", "table2-cifar10-ours faithful"),
        ("cifar10 wrn paintings nst", "cifar10 wrn nst paintings"),
        ("densenet tiny-imagenet", "tiny-imagenet densenet"),
    ],
)
def test_the_order_of_layers_does_not_matter(words: str, other: str) -> None:
    assert REAL.compose(words.split()) == REAL.compose(other.split())


def test_nothing_of_an_earlier_preset_remains() -> None:
    """What others set a row sets too, but for the generator, which it does not run."""
    alone = [name for name, path in REAL.layers.items() if path.parent == REAL.folder]
    sets = set(REAL.compose(["table2-cifar10-ours"]).leaves)
    left = {leaf for name in alone for leaf in REAL.compose([name]).leaves} - sets
    assert {leaf.removeprefix("synthetic.").split(".")[0] for leaf in left} == {"pool", "generator"}
    default = REAL.compose(["default"]).leaves
    whole = dict(flatten(read_yaml(ROOT / "params.yaml")))
    assert default == {leaf: value for leaf, value in whole.items() if leaf in sets | left}
    shipped = [path for name, path in REAL.layers.items() if name in alone and name != "default"]
    assert all(path.read_text().splitlines()[1] == "base: default" for path in shipped) and len(shipped) > 10


@pytest.mark.parametrize(
    ("words", "leaves"),
    [
        ("paintings", {"style.bank": "folder", "style.root": "data/official/painter-by-numbers", "style.count": 1000,
                       "style.size": 224, "style.upscale": 224, "style.encoder": "vgg19"}),
        ("c-bar", {"evaluate.c_bar": ["c-bar"], "evaluate.root": "data/corrupted", "evaluate.corruptions": ["c"]}),
        ("c-bar faithful", {"evaluate.corrupted": "official", "style.faithful": True}),
    ],
)  # fmt: skip
def test_layers_to_add_to_a_row(words: str, leaves: dict[str, object]) -> None:
    found = REAL.compose(["table2-cifar10-ours", *words.split()]).leaves
    assert {leaf: found[leaf] for leaf in leaves} == leaves


@pytest.mark.parametrize(("group", "name", "row"), ROWS, ids=[name for _, name, _ in ROWS])
def test_a_row_says_what_its_columns_are_for(group: Group, name: str, row: Row) -> None:
    assert name.split("-")[0] in REAL.groups and REAL.groups[name.split("-")[0]] is group
    assert not row.paper or len(row.paper) == len(group.columns)
    points = len(list(REAL.compose([name]).points())) if row.layers else 1
    for values in row.paper:
        assert isinstance(values, list) == bool(row.sweep) and (not isinstance(values, list) or len(values) == points)
    assert len(row.mean) in {0, len(LOGGED)} and len(row.std) in {0, len(row.mean)}
    assert bool(row.std) == (row.runs > 1 and bool(row.mean))
    assert row.layers or row.remark, "a row without preset says why"


@pytest.mark.parametrize(
    ("name", "leaves"),
    [
        ("table2-cifar10-ours", {"lambda": 0.5, "lambda_o": 0.1, "lambda_s": 0.5, "combine_s": "or"}),
        ("table2-tiny-imagenet-ours", {"lambda": 0.6, "lambda_o": 0.2, "lambda_s": 0.2, "combine_s": "and"}),
        ("table2-cifar100-baseline", {"lambda": 0.0, "synthetic.source": "none", "augment.erase": 0.0}),
        ("table2-cifar100-nfm-ta", {"augment.trivial": True, "augment.erase": 0.3, "augment.noise": True,
                                    "augment.mixup": 0.5, "augment.cutmix": 0.5, "augment.feature_noise": "siedel"}),
        ("table4-cifar10-ours-jsd", {"train.consistency": 12.0, "lambda": 0.5}),
        ("table5-tiny-imagenet-densenet-ours", {"model.stem_stride": 2, "model.stage_stride": None}),
        ("table6-cifar10-noisymix", {"train.epochs": 600, "train.period": 600, "augment.augmix": "noisymix",
                                     "augment.feature_noise": "noisymix"}),
        ("table6-cifar10-ours-re-n", {"train.epochs": 600, "train.period": 40, "train.period_factor": 2}),
        ("table2-cifar10-ours faithful", {"style.faithful": True, "model.head_momentum": 0.9}),
        ("table5-tiny-imagenet-vit-ours", {"lambda": 0.5, "lambda_o": 0.3, "lambda_s": 0.4, "combine_o": "or",
                                           "combine_s": "or", "train.optimizer": "adamw", "train.weight_decay": 0.05}),
        ("figure7-cifar100", {"lambda": {0: 0.36, 100: 0.2, 200: 0.3}, "augment.feature_noise": "siedel"}),
        ("table2-cifar10-re faithful", {"style.faithful": False, "model.head_momentum": 0.9}),
        ("table5-cifar100-resnext-ours faithful", {"style.faithful": True, "model.head_momentum": None}),
    ],
)  # fmt: skip
def test_settings_of_the_paper(name: str, leaves: dict[str, object]) -> None:
    found = REAL.compose(name.split()).leaves
    assert {leaf: found[leaf] for leaf in leaves} == leaves
