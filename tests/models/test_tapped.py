"""Networks with an attention head: size, maps, blocks, files, and the offline weights of ImageNet."""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from impasto.errors import ImpastoError
from impasto.models import timm_maps
from impasto.models.attention import AttentionHead
from impasto.models.efficientnet_lite0 import efficientnet_lite0, normalise
from impasto.models.places import places, run
from impasto.models.registry import blocks
from impasto.models.saved import load_model, save_model
from impasto.models.tapped import Tapped
from tiny import CPU, architecture, model

ATTENTION: dict[str, Any] = {"attention": "additive_softmax", "head_dropout": 0.23}
TAPS = {"wrn": [2, 4, 8], "densenet": [1, 2, 4], "resnext": [1, 2, 4], "timm": [4, 8]}
TIMM = "test_resnet"


def tapped(name: str = "wrn", **changes: Any) -> Tapped:
    settings = ATTENTION | {"taps": TAPS[name]} | ({"timm": TIMM} if name == "timm" else {}) | changes
    found = model(name=name, **settings)
    assert isinstance(found, Tapped)
    return found


def images(count: int = 2, size: int = 64) -> Tensor:
    return torch.rand(count, 3, size, size, generator=torch.Generator().manual_seed(count))


def count(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


@pytest.mark.parametrize(
    ("timm", "taps", "head", "millions"),
    [
        ("vgg16", [1, 2, 8, 16], 1_151_492, 15.9),
        ("vgg19", [1, 2, 8, 16], 1_151_492, 21.2),
        ("resnet34", [2, 8, 16, 32], 1_282_564, 22.6),
        ("resnet50", [2, 8, 16, 32], 20_072_452, 43.6),
    ],
)
def test_the_published_networks_have_the_published_number_of_parameters(
    timm: str, taps: list[int], head: int, millions: float
) -> None:
    with torch.device("meta"):
        network = tapped("timm", timm=timm, taps=taps)
        shapes = {stride: each.shape for stride, each in network.attention(images(1, 256).to("meta")).items()}
    assert count(network.head) == head and round(count(network) / 1e6, 1) == millions
    assert shapes == {tap: (1, 256 // tap, 256 // tap) for tap in taps}


@pytest.mark.parametrize("name", TAPS)
@pytest.mark.parametrize("attention", ["additive_softmax", "dot", "tanh_additive", "sigmoid", "gap"])
def test_any_network_any_estimator_any_size_and_a_batch_of_one(name: str, attention: str) -> None:
    network = tapped(name, attention=attention, projection=6).eval()
    for n, size in ((1, 64), (3, 45)):
        x = images(n, size)
        found = network.attention(x)
        assert network(x).shape == (n, 4) and list(found) == TAPS[name]
        assert all(each.shape == (n, *[-(-size // tap)] * 2) or name == "densenet" for tap, each in found.items())
    torch.testing.assert_close(network(x[:1]), network(x)[:1], atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("name", TAPS)
def test_everything_that_is_kept_learns_and_belongs_to_one_block(name: str) -> None:
    network = tapped(name)
    network(images()).square().sum().backward()
    assert all(p.grad is not None for p in network.parameters())
    parts = blocks(network)
    assert parts[0][0] == "stem" and parts[-1] == ("head", network.head) and isinstance(network.head, AttentionHead)
    held = [id(p) for _, part in parts for p in part.parameters()]
    assert sorted(held) == sorted(id(p) for p in network.parameters()) and len(set(held)) == len(held)
    norms = {id(m) for _, part in parts for m in part.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)}
    assert norms == {id(m) for m in network.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)}


def test_what_lies_behind_the_last_tap_is_left_out() -> None:
    assert [name for name, _ in blocks(tapped("wrn", taps=[2, 4]))] == ["stem", "stage1", "stage2", "head"]
    deep, shallow = tapped("timm", taps=[4, 8]), tapped("timm", taps=[4])
    assert count(shallow.timm) < count(deep.timm)


def test_the_last_map_is_what_the_own_head_would_pool() -> None:
    """A WRN normalises and activates in its head; the maps before are as the stages leave them."""
    plain, network = model(name="wrn").eval(), tapped("wrn").eval()
    shared = {k: v for k, v in plain.state_dict().items() if not k.startswith("head")}
    network.load_state_dict(network.state_dict() | shared | {
        f"head.finish.0.{name}": tensor for name, tensor in plain.head[0].state_dict().items()
    })  # fmt: skip
    x, outputs = images(), []
    for part in list(plain)[:-1]:
        outputs.append(part(outputs[-1] if outputs else x))
    maps = network.maps(x)
    assert [torch.equal(a, b) for a, b in zip(maps, outputs[2:], strict=True)] == [True] * 3
    seen = network.head.finished(maps)
    torch.testing.assert_close(seen[-1], plain.head[1](plain.head[0](outputs[-1])))


def test_maps_of_timm_are_the_networks_own() -> None:
    network, x = tapped("timm").eval(), images(2, 160)
    whole = network.timm.network
    stem = whole.maxpool(whole.act1(whole.bn1(whole.conv1(network.normalise(x)))))
    one = whole.layer1(stem)
    for found, wanted in zip(network.maps(x), (one, whole.layer2(one)), strict=True):
        torch.testing.assert_close(found, wanted)


def test_a_vision_transformer_has_one_map_of_its_last_block() -> None:
    """It takes one size alone, to which images of any size are resized; its class token is no position."""
    network, x = tapped("timm", timm="test_vit", taps=[16], attention="dot"), images(2, 32)
    assert [name for name, _ in network.named_children()] == ["resize", "normalise", "timm", "head"]
    assert {stride: each.shape for stride, each in network.attention(x).items()} == {16: (2, 10, 10)}
    whole, seen = network.timm.network, network.normalise(network.resize(x))
    tokens = whole.blocks(whole.norm_pre(whole.patch_drop(whole._pos_embed(whole.patch_embed(seen)))))
    (found,) = network.maps(x)
    torch.testing.assert_close(found.flatten(2).transpose(1, 2), tokens[:, whole.num_prefix_tokens :])
    network(x).square().sum().backward()
    assert all(p.grad is not None for p in network.parameters()), "what lies behind the map is left out, its norm too"
    held = [id(p) for _, part in blocks(network) for p in part.parameters()]
    assert sorted(held) == sorted(id(p) for p in network.parameters())


def test_the_package_carries_pretrained_weights(capsys: pytest.CaptureFixture[str]) -> None:
    network = tapped("timm", timm="tf_efficientnet_lite0", weights="package", taps=[2, 8, 32], projection=8).eval()
    assert "left out" in capsys.readouterr().err
    whole, x = efficientnet_lite0(), images(1, 128)
    y = whole.bn1(whole.conv_stem(normalise(x)))
    wanted = {}
    for stage in whole.blocks:
        y = stage(y)
        wanted[128 // y.shape[-1]] = y
    for stride, found in zip([2, 8, 32], network.maps(x), strict=True):
        torch.testing.assert_close(found, wanted[stride], rtol=1e-4, atol=1e-4)


def test_weights_from_a_file_without_its_head(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    whole = model(name="timm", timm=TIMM, classes=9, seed=3).timm.network.state_dict()
    torch.save(whole, tmp_path / "w.pth")
    network = tapped("timm", weights=str(tmp_path / "w.pth"), taps=[4])
    told = capsys.readouterr().err
    assert told.startswith("w.pth: ") and "left out" in told
    kept = network.timm.network.state_dict()
    assert kept and all(torch.equal(tensor, whole[name]) for name, tensor in kept.items())
    del whole["conv1.0.weight"]
    torch.save(whole, tmp_path / "w.pth")
    with pytest.raises(ImpastoError, match=r"conv1\.0\.weight is missing"):
        tapped("timm", weights=str(tmp_path / "w.pth"), taps=[4])


@pytest.mark.parametrize(
    ("name", "changes", "told"),
    [
        ("wrn", {"taps": [2, 16]}, "wrn has no map of stride 16.*2, 4, 8"),
        ("timm", {"taps": [3]}, "test_resnet has no map of stride 3"),
    ],
)
def test_a_stride_or_network_without_a_map(name: str, changes: dict[str, Any], told: str) -> None:
    with pytest.raises(ImpastoError, match=told):
        tapped(name, **changes)


def test_a_network_whose_maps_timm_does_not_give() -> None:
    with pytest.raises(ImpastoError, match="needs the maps of plain, which timm cannot give"):
        timm_maps._maps(nn.Linear(1, 1), "plain")


@pytest.mark.parametrize("name", TAPS)
def test_features_can_be_changed_on_the_way(name: str) -> None:
    network, x = tapped(name).eval(), images()
    stages = {"wrn": 3, "densenet": 2, "resnext": 3, "timm": 0}[name]  # what lies behind the last map is left out
    assert places(network) == ["normalise", *(f"stage{n + 1}" for n in range(stages))]
    for place in places(network):
        assert torch.equal(run(network, x, place, lambda f: f), network(x))
        assert not torch.allclose(run(network, x, place, lambda f: 0 * f), network(x))


@pytest.mark.parametrize("name", TAPS)
def test_saved_loaded_copied_and_exported(tmp_path: Path, name: str) -> None:
    settings = ATTENTION | {"taps": TAPS[name]} | ({"timm": TIMM} if name == "timm" else {})
    network = tapped(name).eval()
    save_model(tmp_path, network, architecture(name, **settings), ("a", "b", "c", "d"))
    loaded, config, _ = load_model(tmp_path, CPU)
    assert isinstance(loaded, Tapped) and config.taps == TAPS[name]
    x = images()
    assert torch.equal(loaded(x), network(x)) and torch.equal(deepcopy(network)(x), network(x))
    exported = torch.export.export(network, (x,)).module()
    torch.testing.assert_close(exported(x), network(x))


def test_the_seed_draws_the_head() -> None:
    one, same, other = (tapped(seed=seed).head.state_dict() for seed in (1, 1, 2))
    assert all(torch.equal(one[key], same[key]) for key in one)
    assert not torch.equal(one["taps.0.direction"], other["taps.0.direction"])
