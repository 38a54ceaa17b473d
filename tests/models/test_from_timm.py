"""Networks of timm: size, input, pretrained weights, and the order in which fine-tuning opens them."""

from __future__ import annotations

from pathlib import Path

import pytest
import timm as library
import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.flop_counter import FlopCounterMode
from torchvision.models import vit_b_16

from impasto.errors import ImpastoError
from impasto.models.from_timm import Resize, from_timm
from impasto.models.registry import blocks
from impasto.models.torchvision_vit import to_timm


def network(timm: str = "test_vit", classes: int = 7, weights: str | None = None) -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(from_timm(classes, timm=timm, weights=weights))


def images(count: int = 2, size: int = 32) -> Tensor:
    return torch.rand(count, 3, size, size, generator=torch.Generator().manual_seed(count))


def test_vit_b_16_has_the_published_number_of_parameters_and_cost() -> None:
    with torch.device("meta"), FlopCounterMode(display=False) as counter:
        model = network("vit_base_patch16_224", 200).eval()
        assert model(images(1, 64).to("meta")).shape == (1, 200)
    assert sum(p.numel() for p in model.parameters()) == 85_952_456
    assert counter.get_total_flops() / 2 == pytest.approx(17.6e9, rel=5e-3)
    assert len(blocks(model)) == 14


def test_torchvisions_vit_b_16_fits_tensor_by_tensor() -> None:
    with torch.device("meta"):
        ours = network("vit_base_patch16_224", 1000).timm.network.state_dict()
        theirs = to_timm(vit_b_16().state_dict())
    assert {k: v.shape for k, v in ours.items()} == {k: v.shape for k, v in theirs.items()}


@pytest.mark.parametrize("timm", ["test_vit", "test_resnet"])
def test_images_are_resized_then_normalised_then_classified(timm: str) -> None:
    model, x = network(timm).eval(), images()
    facts = library.get_pretrained_cfg(timm)
    large = functional.interpolate(x, facts.input_size[1:], mode="bilinear", antialias=True)
    large = torch.stack([(large[:, c] - facts.mean[c]) / facts.std[c] for c in range(3)], 1)
    torch.testing.assert_close(model(x), model.timm.network(large), atol=1e-5, rtol=1e-4)
    assert model(x).shape == (2, 7)


def test_images_of_the_networks_size_stay_as_they_are() -> None:
    x = images(1, 40)
    assert Resize(40, 40)(x) is x
    small = Resize(8, 8)(x)  # antialiased: every output sees its whole neighbourhood, so a fine grid becomes grey
    grid = (torch.arange(40)[:, None] + torch.arange(40)).remainder(2).float().expand(1, 3, 40, 40)
    assert small.shape == (1, 3, 8, 8) and (Resize(8, 8)(grid) - 0.5).abs().max() < 0.05


@pytest.mark.parametrize(
    "timm", ["test_vit", "test_resnet", "test_convnext", "poolformer_s12", "swin_tiny_patch4_window7_224"]
)
def test_blocks_hold_every_parameter_once_from_stem_to_head(timm: str) -> None:
    with torch.device("meta"):
        model = network(timm)
    parts = blocks(model)
    assert parts[0][0] == "stem" and parts[-1][0] == "head" and len({name for name, _ in parts}) == len(parts)
    held = [id(p) for _, part in parts for p in part.parameters()]
    assert sorted(held) == sorted(id(p) for p in model.parameters()) and len(set(held)) == len(held)
    norms = [id(m) for _, part in parts for m in part.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
    found = {id(m) for m in model.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)}
    assert set(norms) == found, "frozen blocks freeze their statistics"
    head = {id(p) for p in model.timm.network.get_classifier().parameters()}
    assert head <= {id(p) for p in parts[-1][1].parameters()}


def test_blocks_of_a_vision_transformer_are_its_layers() -> None:
    model = network()
    inner, parts = model.timm.network, [part for _, part in blocks(model)]
    for n, layer in enumerate(inner.blocks[:-1]):
        assert list(parts[n + 1].parameters()) == list(layer.parameters())
    assert {id(p) for p in parts[0].parameters()} == {
        id(p) for p in (inner.cls_token, inner.pos_embed, *inner.patch_embed.parameters())
    }
    parts[0].requires_grad_(False)
    assert not inner.cls_token.requires_grad and inner.head.weight.requires_grad


@pytest.mark.parametrize(
    ("classes", "told"), [(7, ""), (5, "w.safetensors: its head has 7 classes; a new one has 5\n")]
)
def test_pretrained_weights_and_a_head_for_other_classes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], classes: int, told: str
) -> None:
    torch.manual_seed(5)
    pretrained = library.create_model("test_vit", num_classes=7).state_dict()
    save_file(pretrained, tmp_path / "w.safetensors")
    model = network(classes=classes, weights=str(tmp_path / "w.safetensors"))
    assert capsys.readouterr().err == told
    kept = {k for k, v in model.timm.network.state_dict().items() if torch.equal(v, pretrained[k])}
    assert pretrained.keys() - kept == (set() if classes == 7 else {"head.weight", "head.bias"})


def test_torchvisions_weights_bring_their_normalisation(tmp_path: Path) -> None:
    """timm's own weights of this network want a mean of 0.5."""
    torch.manual_seed(5)
    state = library.create_model("test_vit", num_classes=7).state_dict()
    theirs = {
        "cls_token": "class_token", "pos_embed": "encoder.pos_embedding", "patch_embed.proj": "conv_proj",
        "blocks.": "encoder.layers.encoder_layer_", ".norm": ".ln_", "norm.": "encoder.ln.", "head.": "heads.head.",
        "attn.qkv.": "self_attention.in_proj_", "attn.proj": "self_attention.out_proj",
        "mlp.fc1": "mlp.0", "mlp.fc2": "mlp.3",
    }  # fmt: skip
    renamed = {}
    for name, value in state.items():
        for mine, other in theirs.items():
            name = name.replace(mine, other)
        renamed[name] = value
    torch.save(renamed, tmp_path / "w.pth")
    model = network(weights=str(tmp_path / "w.pth"))
    assert model.normalise.mean.flatten().tolist() == pytest.approx([0.485, 0.456, 0.406])
    assert model.normalise.std.flatten().tolist() == pytest.approx([0.229, 0.224, 0.225])
    assert all(torch.equal(v, state[k]) for k, v in model.timm.network.state_dict().items())


@pytest.mark.parametrize(
    ("timm", "remedy"),
    [("test_vitt", "Did you mean 'test_vit'"), ("qqqqqqqq", "list_models"), ("test_vit.none", "Leave the tag out")],
)
def test_an_unknown_network(timm: str, remedy: str) -> None:
    with pytest.raises(ImpastoError, match=remedy):
        network(timm)


@pytest.mark.parametrize("path", ["w.pth", "~/home.pth"])
def test_weights_are_looked_for_in_the_main_workspace_or_at_home(
    root: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    """A queued experiment runs in a copy of it, which does not have the file."""
    home = tmp_path_factory.mktemp("home")
    monkeypatch.setenv("HOME", str(home))
    state = network().timm.network.state_dict()
    torch.save(state, (home if "~" in path else root) / Path(path).name)
    monkeypatch.chdir(tmp_path_factory.mktemp("copy"))
    found = network(weights=path).timm.network.state_dict()
    assert all(torch.equal(found[name], tensor) for name, tensor in state.items())
