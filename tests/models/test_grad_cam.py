"""Grad-CAM: against class activation maps and gradients taken another way, for every kind of network."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from timm.models.vgg import VGG
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor, nn

from impasto.models.from_timm import Network
from impasto.models.grad_cam import grad_cam, halved
from impasto.models.tapped import Tapped
from tiny import model

CLASSES = 3
HEAD: dict[str, Any] = {"attention": "tanh_additive", "head_dropout": 0.2}
POOLED: dict[str, dict[str, Any]] = {
    "wrn": {},
    "wrn, silu": {"activation": "silu"},
    "densenet": {"name": "densenet"},
    "resnext": {"name": "resnext"},
}
OTHERS: dict[str, dict[str, Any]] = {
    "timm": {"name": "timm", "timm": "test_resnet"},
    "timm, Lite0": {"name": "timm", "timm": "tf_efficientnet_lite0"},
    "timm, channels last": {"name": "timm", "timm": "test_mambaout"},
    "timm, in place": {"name": "timm", "timm": "test_nfnet"},
    "wrn, attention": HEAD | {"taps": [2, 4, 8]},
    "timm, attention": HEAD | {"name": "timm", "timm": "test_resnet", "taps": [4, 8]},
    "tokens": {"name": "timm", "timm": "test_vit"},
    "tokens, attention": HEAD | {"name": "timm", "timm": "test_vit", "taps": [16]},
}
EVERY = POOLED | OTHERS


def network(settings: dict[str, Any]) -> nn.Module:
    """Classifiers with statistics and weights of batch norm that are not all alike."""
    made, source = model(classes=CLASSES, **settings), torch.Generator().manual_seed(3)
    for layer in made.modules():
        if isinstance(layer, nn.BatchNorm2d):
            for tensor in (layer.weight.data, layer.bias.data, layer.running_mean, layer.running_var):
                assert tensor is not None
                tensor.copy_(0.5 + torch.rand(tensor.shape, generator=source))
    return made.eval()


def images(n: int = 3) -> Tensor:
    return torch.rand(n, 3, 64, 64, generator=torch.Generator().manual_seed(7))


def labels(n: int = 3) -> Tensor:
    return torch.arange(n) % CLASSES


@pytest.mark.parametrize("name", POOLED)
def test_of_a_pooled_linear_head_it_is_the_class_activation_map(name: str) -> None:
    """CAM as Zhou et al. have it: the head's weights on the map that enters the pooling, then ReLU; over h w."""
    made, seen = network(POOLED[name]), []
    pool = next(layer for layer in made.modules() if isinstance(layer, nn.AdaptiveAvgPool2d))
    hook = pool.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    with torch.no_grad():
        made(images())
    hook.remove()
    (features,), linear = seen, [layer for layer in made.modules() if isinstance(layer, nn.Linear)][-1]
    cam = torch.einsum("nc,nchw->nhw", linear.weight[labels()], features).relu()
    found = grad_cam(made, images(), labels())
    assert found is not None and found.shape == cam.shape and found.max() > 0
    torch.testing.assert_close(found, cam.detach() / cam[0].numel(), rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize("name", EVERY)
def test_gradients_of_a_whole_pass_give_the_same(name: str) -> None:
    """The same formula from a backward pass through the whole network, with the map caught on its way."""
    made, caught = network(EVERY[name]), []

    def keep(tensor: Tensor) -> Tensor:
        tensor.retain_grad()
        caught.append(tensor)
        return tensor

    if isinstance(made, Tapped):
        hook = made.head.finish.register_forward_hook(
            lambda _, __, out: keep(out if out.requires_grad else out.clone())
        )
        logits = made(images())
        hook.remove()
    elif name == "tokens":
        norm = made.get_submodule("timm.network.blocks")[-1].norm1
        hook = norm.register_forward_hook(lambda _, __, out: keep(out))
        logits = made(images())
        hook.remove()
    elif "timm" in EVERY[name]:
        inner = made[-1].network  # type: ignore[index]
        shown = made[:-1](images())  # type: ignore[index]
        logits = inner.forward_head(keep(inner.forward_features(shown)).clone())
        torch.testing.assert_close(logits, made(images()))
    else:
        pool = next(layer for layer in made.modules() if isinstance(layer, nn.AdaptiveAvgPool2d))
        hook = pool.register_forward_pre_hook(lambda _, given: (keep(given[0]),))
        logits = made(images())
        hook.remove()
    logits[torch.arange(3), labels()].sum().backward()
    (features,) = caught
    gradient, features = features.grad, features.detach()
    if name == "tokens":  # the class token, then ten rows of ten patches
        gradient, features = (tensor[:, 1:].mT.unflatten(2, (10, 10)) for tensor in (gradient, features))
    if "last" in name:
        gradient, features = gradient.permute(0, 3, 1, 2), features.permute(0, 3, 1, 2)
    wanted = torch.zeros(3, *features.shape[2:])
    for image in range(3):
        for channel in range(features.shape[1]):
            wanted[image] += gradient[image, channel].mean() * features[image, channel]
    found = grad_cam(made, images(), labels())
    assert found is not None and found.min() >= 0 and found.dtype == torch.float32
    torch.testing.assert_close(found, wanted.relu(), rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("name", EVERY)
def test_both_halves_make_the_network(name: str) -> None:
    made = network(EVERY[name])
    with torch.no_grad():
        halves = halved(made, images())
        assert halves is not None
        torch.testing.assert_close(halves.rest(halves.features), made(images()))


@pytest.mark.parametrize("name", EVERY)
def test_images_are_alone_in_their_batch(name: str) -> None:
    made = network(EVERY[name])
    together = grad_cam(made, images(), labels())
    alone = [grad_cam(made, images()[i : i + 1], labels()[i : i + 1]) for i in range(3)]
    assert together is not None
    torch.testing.assert_close(together, torch.cat([one for one in alone if one is not None]), rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("name", ["wrn", "timm", "wrn, attention"])
@pytest.mark.parametrize("inference", [False, True])
def test_the_network_is_left_as_it_was(name: str, inference: bool) -> None:
    """Weights, statistics, mode and gradients, and no hook stays; also where the caller has gradients switched off."""
    made = network(EVERY[name])
    for number, parameter in enumerate(made.parameters()):
        parameter.grad = torch.full_like(parameter, number)
    before = {key: value.clone() for key, value in made.state_dict().items()}
    with torch.set_grad_enabled(not inference):
        grad_cam(made, images(), labels())
    after = made.state_dict()
    assert all(torch.equal(before[key], after[key]) for key in before)
    assert all((parameter.grad == number).all() for number, parameter in enumerate(made.parameters()))
    assert not any(layer.training or layer._forward_hooks or layer._backward_hooks for layer in made.modules())


def test_another_class_has_another_map() -> None:
    made = network({})
    first, second = (grad_cam(made, images(1), torch.tensor([label])) for label in (0, 1))
    assert first is not None and second is not None and not torch.allclose(first, second)


def test_a_head_of_convolutions() -> None:
    """VGG's, as timm has it: its gradients differ from place to place, so that only their mean is a weight."""
    small = VGG(cfg=[8, "M", 8, "M", 8, "M"], num_classes=CLASSES).eval()
    made, image = nn.Sequential(Network(small, ["head.fc"])), images(1)
    with torch.no_grad():
        halves = halved(made, image)
        assert halves is not None
        torch.testing.assert_close(halves.rest(halves.features), made(image))
    features = halves.features.clone().requires_grad_()
    halves.rest(features)[0, 1].backward()
    assert features.grad is not None
    wanted = sum(g.mean() * a for g, a in zip(features.grad[0], halves.features[0], strict=True))
    found = grad_cam(made, image, torch.tensor([1]))
    assert found is not None and isinstance(wanted, Tensor)
    torch.testing.assert_close(found[0], wanted.relu(), rtol=1e-3, atol=1e-7)


@pytest.mark.parametrize("tokens", [{"class_token": False}, {"reg_tokens": 3}])
def test_tokens_beside_the_patches(tokens: dict[str, Any]) -> None:
    """None, or several: the map has the patches alone, and what is computed is still the network."""
    sizes = {"img_size": 32, "patch_size": 8, "embed_dim": 24, "depth": 2, "num_heads": 2, "num_classes": CLASSES}
    vit = VisionTransformer(**sizes, global_pool="avg", **tokens).eval()
    made, image = nn.Sequential(Network(vit, ["head"])), images(2)[:, :, :32, :32]
    with torch.no_grad():
        halves = halved(made, image)
        assert halves is not None and halves.features.shape == (2, 4, 4, 24)
        torch.testing.assert_close(halves.rest(halves.features), made(image))
    found = grad_cam(made, image, labels(2))
    assert found is not None and found.shape == (2, 4, 4)


@pytest.mark.parametrize("name", ["test_vit_relpos", "mixer_s32_224"])
def test_another_network_of_tokens_has_none(name: str) -> None:
    assert grad_cam(network({"name": "timm", "timm": name}), images(), labels()) is None
