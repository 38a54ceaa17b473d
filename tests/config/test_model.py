"""The section ``model``: which parameters a network has, and how the others are told."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from impasto.config.model import HEAD, PARAMETERS, Model
from tiny import SMALLEST, architecture

LEAVES = {leaf for leaf in Model.model_fields if leaf not in ("name", "normalise")}


def test_the_schema_holds_no_values() -> None:
    assert all(field.is_required() and field.description for field in Model.model_fields.values())
    assert {leaf for leaves in PARAMETERS.values() for leaf in leaves} | set(HEAD) == LEAVES


@pytest.mark.parametrize("name", SMALLEST)
def test_a_network_gets_its_own_parameters(name: str) -> None:
    expected = SMALLEST[name] | ({"weights": None} if name == "timm" else {})
    assert architecture(name).parameters() == expected


@pytest.mark.parametrize(
    ("name", "leaf", "value"),
    [
        ("wrn", "depth", 11), ("wrn", "depth", 4), ("wrn", "depth", 106), ("wrn", "width", 0), ("wrn", "width", 65),
        ("wrn", "stem_stride", 3), ("wrn", "stage_stride", 0), ("wrn", "dropout", 1.0), ("wrn", "activation", "tanh"),
        ("wrn", "head_momentum", 0.0), ("wrn", "head_momentum", 1.5), ("densenet", "depth", 28),
        ("resnext", "depth", 28), ("resnext", "depth", 10), ("timm", "timm", "hf-hub:timm/x"), ("timm", "timm", "../x"),
        ("timm", "weights", 1), ("wrn", "name", "vgg"),
    ],
)  # fmt: skip
def test_a_value_out_of_range_names_its_leaf(name: str, leaf: str, value: object) -> None:
    with pytest.raises(ValidationError) as caught:
        Model.model_validate(architecture(name).model_dump() | {leaf: value})
    assert [error["loc"] for error in caught.value.errors()] == [(leaf,)]


@pytest.mark.parametrize(("name", "depths"), [("wrn", (16, 28, 40)), ("densenet", (161, 201)), ("resnext", (20, 29))])
def test_depths_that_exist(name: str, depths: tuple[int, ...]) -> None:
    assert [architecture(name, depth=depth).depth for depth in depths] == list(depths)


@pytest.mark.parametrize("timm", ["vit_base_patch16_224", "vit_base_patch16_224.augreg_in1k"])
def test_names_with_and_without_a_tag(timm: str) -> None:
    assert architecture("timm", timm=timm, weights="w.pth").timm == timm


@pytest.mark.parametrize("name", SMALLEST)
def test_what_a_network_does_not_have_must_be_null_and_what_it_has_must_not(name: str) -> None:
    values = {"depth": 28, "width": 1, "stem_stride": 1, "stage_stride": 1, "dropout": 0.0, "activation": "relu"}
    values |= {"head_momentum": 0.1, "timm": "test_vit", "weights": "w"}
    for leaf in LEAVES - set(PARAMETERS[name]) - set(HEAD):
        with pytest.raises(ValidationError, match=rf"model\.name is {name}: model\.{leaf} must be null"):
            architecture(name, **{leaf: values[leaf]})
    for leaf in set(PARAMETERS[name]) - {"weights"}:
        with pytest.raises(ValidationError, match=rf"model\.name is {name}: model\.{leaf} must not be null"):
            architecture(name, **{leaf: None})


ATTENTION = {"attention": "dot", "taps": [2, 8], "projection": None, "head_dropout": 0.2}


def test_the_attention_head_has_all_its_parameters_or_none() -> None:
    assert architecture("wrn", **ATTENTION).taps == [2, 8]
    assert architecture("wrn", **ATTENTION | {"projection": 512}).projection == 512
    for leaf in ("taps", "head_dropout"):
        with pytest.raises(ValidationError, match=rf"model\.attention is dot: model\.{leaf} must not be null"):
            architecture("wrn", **ATTENTION | {leaf: None})
    for leaf in ("taps", "projection", "head_dropout"):
        with pytest.raises(ValidationError, match=rf"model\.attention is null: model\.{leaf} must be null"):
            architecture("wrn", **{leaf: {"taps": [2], "projection": 8, "head_dropout": 0.0}[leaf]})


@pytest.mark.parametrize("taps", [[], [0], [2, 2], [8, 2], [2.0]])
def test_taps_are_strides_that_ascend(taps: list[int]) -> None:
    with pytest.raises(ValidationError):
        architecture("wrn", **ATTENTION | {"taps": taps})


def test_the_package_holds_one_networks_weights() -> None:
    for timm in ("tf_efficientnet_lite0", "tf_efficientnet_lite0.in1k"):
        assert architecture("timm", timm=timm, weights="package").weights == "package"
    with pytest.raises(ValidationError, match="those of model.timm tf_efficientnet_lite0, not resnet50"):
        architecture("timm", timm="resnet50", weights="package")


def test_a_change_of_the_name_is_told_at_once() -> None:
    with pytest.raises(ValidationError) as caught:
        Model.model_validate(architecture("wrn").model_dump() | {"name": "timm"})
    (error,) = caught.value.errors()
    assert str(error["ctx"]["error"]) == (
        "model.name is timm: model.depth, model.width, model.stem_stride, model.stage_stride, model.dropout, "
        "model.activation, model.head_momentum must be null, and model.timm must not be null"
    )


def test_unknown_keys_are_refused() -> None:
    with pytest.raises(ValidationError):
        architecture(widen=4)
