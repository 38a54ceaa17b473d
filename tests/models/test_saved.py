"""A classifier comes back from disk as it was."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from impasto.errors import ImpastoError
from impasto.io import read_json, write_json
from impasto.models.saved import load_model, save_model
from tiny import CPU, SIZE
from tiny import architecture as config
from tiny import model as network

NAMES = ("a", "b", "c", "ü")


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    """A model whose statistics have moved."""
    model = network().train()
    model(torch.rand(8, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(0)))
    save_model(tmp_path / "0", model, config(), NAMES, seed=3)
    return tmp_path / "0"


def test_it_comes_back(tmp_path: Path) -> None:
    model = network(classes=4, seed=5, activation="silu", width=2)
    model.train()(torch.rand(8, 3, SIZE, SIZE))
    save_model(tmp_path, model, config(activation="silu", width=2), NAMES)
    found, architecture, names = load_model(tmp_path, CPU)
    assert not found.training and names == NAMES and architecture == config(activation="silu", width=2)
    images = torch.rand(5, 3, SIZE, SIZE)
    assert torch.equal(found(images), model.eval()(images))
    assert {k: v.dtype for k, v in found.state_dict().items()} == {k: v.dtype for k, v in model.state_dict().items()}


@pytest.mark.parametrize("name", ["densenet", "resnext", "timm"])
def test_every_network_comes_back(tmp_path: Path, name: str) -> None:
    model, images = network(name=name), torch.rand(4, 3, SIZE, SIZE)
    model.train()(images)
    save_model(tmp_path, model, config(name), NAMES)
    found, architecture, _ = load_model(tmp_path, CPU)
    assert architecture == config(name) and torch.equal(found(images), model.eval()(images))
    assert {k: v.dtype for k, v in found.state_dict().items()} == {k: v.dtype for k, v in model.state_dict().items()}


def test_a_model_outlives_the_pretrained_weights_it_started_from(tmp_path: Path) -> None:
    weights = tmp_path / "pretrained.pth"
    torch.save(network(classes=9, seed=3, name="timm").timm.network.state_dict(), weights)
    model = network(name="timm", weights=str(weights))
    save_model(tmp_path, model, config("timm", weights=str(weights)), NAMES)
    weights.unlink()
    found, architecture, _ = load_model(tmp_path, CPU)
    assert architecture.weights == str(weights)
    assert all(torch.equal(value, model.state_dict()[name]) for name, value in found.state_dict().items())


def test_a_model_saved_when_there_were_fewer_parameters(saved: Path) -> None:
    facts = read_json(saved / "model.json")
    first = ("name", "depth", "width", "stem_stride", "dropout", "activation")
    write_json(saved / "model.json", facts | {"model": {leaf: facts["model"][leaf] for leaf in first}})
    assert load_model(saved, CPU)[1] == config()


def test_the_normalisation_is_part_of_the_weights(saved: Path) -> None:
    normalise = load_model(saved, CPU)[0].normalise
    assert normalise.mean.flatten().tolist() == [0.5] * 3 and normalise.std.flatten().tolist() == [0.25] * 3


def test_facts_stand_beside_the_weights(saved: Path) -> None:
    facts = read_json(saved / "model.json")
    assert facts["seed"] == 3 and facts["classes"] == list(NAMES) and facts["model"]["depth"] == 10


def test_the_same_model_gives_the_same_bytes(saved: Path, tmp_path: Path) -> None:
    save_model(tmp_path / "again", load_model(saved, CPU)[0], config(), NAMES, seed=3)
    for name in ("model.safetensors", "model.json"):
        assert (tmp_path / "again" / name).read_bytes() == (saved / name).read_bytes()


@pytest.mark.parametrize("name", ["model.json", "model.safetensors"])
def test_a_missing_file(saved: Path, name: str) -> None:
    (saved / name).unlink()
    with pytest.raises(ImpastoError, match=rf"{name} does not exist .*dvc repro"):
        load_model(saved, CPU)


@pytest.mark.parametrize("content", [b"", b"no weights at all", b"\x10" + bytes(7) + b"{" + bytes(30)])
def test_damaged_weights(saved: Path, content: bytes) -> None:
    (saved / "model.safetensors").write_bytes(content)
    with pytest.raises(ImpastoError, match=r"weights .*Delete the folder and run `dvc repro`"):
        load_model(saved, CPU)


@pytest.mark.parametrize("facts", [{}, {"model": {"name": "wrn"}, "classes": ["a"]}, {"model": {}}])
def test_a_description_of_no_model(saved: Path, facts: dict[str, object]) -> None:
    write_json(saved / "model.json", facts)
    with pytest.raises(ImpastoError, match=r"model.json describes no model.*Delete the folder"):
        load_model(saved, CPU)


@pytest.mark.parametrize("change", [{"width": 2}, {"depth": 16}])
def test_weights_of_another_architecture(saved: Path, change: dict[str, int]) -> None:
    facts = read_json(saved / "model.json")
    write_json(saved / "model.json", facts | {"model": facts["model"] | change})
    with pytest.raises(ImpastoError, match="the weights do not fit the architecture") as caught:
        load_model(saved, CPU)
    assert "\n" not in str(caught.value)


@pytest.mark.usefixtures("small_disk")
def test_a_full_disk(tmp_path: Path) -> None:
    with pytest.raises(ImpastoError, match=r"cannot write .*model\.safetensors"):
        save_model(tmp_path, network(), config(), NAMES)
    assert list(tmp_path.iterdir()) == []
