"""Grad-CAM (Selvaraju et al., ICCV 2017): which positions of a network's last map speak for a class.

With A the last map before positions are pooled, [channels, h, w], and y the logit of a class,

    weight_c = mean over positions of dy / dA_c,     map = ReLU(sum_c weight_c A_c)

A network whose head is the mean over positions and a linear layer w has weight_c = w_c / (h w): the map is the class
activation map of Zhou et al. (CVPR 2016), cut off at 0 and divided by the number of positions.

A vision transformer has no such map: its class token alone is pooled. There A are the patches' tokens that enter the
last attention, normalised, which is the last place where they act on it.

The network is run up to A without gradients and from there on with them. So no hook is needed, nothing is added to the
gradients of its parameters, and the map of an image does not depend on the others of its batch.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from impasto.models.from_timm import Network
from impasto.models.layers import POOLED
from impasto.models.tapped import Tapped


class Halves(NamedTuple):
    """A network in the middle of its work.

    Attributes:
        features: the last map with positions, [N, C, h, w], or [N, h, w, C] where ``channel`` is 3.
        channel: the axis of the channels.
        rest: from the features to logits [N, classes].
    """

    features: Tensor
    channel: int
    rest: Callable[[Tensor], Tensor]


def grad_cam(model: nn.Module, images: Tensor, classes: Tensor) -> Tensor | None:
    """Where the evidence for a class lies.

    Args:
        model: built by :func:`impasto.models.registry.build`, in evaluation mode; it is left as it is.
        images: float [N, 3, H, W] in [0, 1].
        classes: int64 [N], whose logit is meant.

    Returns:
        float32 [N, h, w], at least 0, of the size of the last map; all 0 where nothing speaks for the class. None for
        a network of tokens that is no plain vision transformer.
    """
    with torch.no_grad():
        halves = halved(model, images)
    if halves is None:
        return None
    features, channel, rest = halves
    with torch.enable_grad():
        leaf = features.detach().requires_grad_()
        # A layer that works in place may follow, and must not write into the leaf.
        score = rest(leaf.clone()).gather(1, classes[:, None]).sum()
        (gradient,) = torch.autograd.grad(score, leaf)
    positions = [axis for axis in (1, 2, 3) if axis != channel]
    return (gradient.mean(positions, keepdim=True) * features).sum(channel).relu().float()


def halved(model: nn.Module, images: Tensor) -> Halves | None:
    """Run a network up to its last map; None where it has none."""
    if isinstance(model, Tapped):
        *others, last = model.head.finished(model.maps(images))
        return Halves(last, 1, lambda features: model.head.rest([*others, features]))
    *body, head = model.children()
    x = images
    for part in body:
        x = part(x)
    if isinstance(head, Network):
        return _of_timm(head.network, x)
    if isinstance(head, nn.Sequential):
        return Halves(head[:-POOLED](x), 1, head[-POOLED:])
    return None


def _of_timm(network: Any, images: Tensor) -> Halves | None:
    """Timm divides its networks itself, before the pooling; some have maps with the channels last."""
    from timm.models.vision_transformer import Block, VisionTransformer

    if type(network) is VisionTransformer and type(network.blocks[-1]) is Block and len(network.blocks) > 1:
        return _of_tokens(network, images)
    if not hasattr(network, "forward_head"):
        return None
    features = network.forward_features(images)
    if not isinstance(features, Tensor) or features.ndim != 4:
        return None
    channel = 3 if getattr(network, "output_fmt", "NCHW") == "NHWC" else 1
    return Halves(features, channel, network.forward_head)


def _of_tokens(network: Any, images: Tensor) -> Halves:
    """A vision transformer in the middle of its last block: patches as a map, beside the class token and its like."""
    last = network.blocks[-1]
    before = {"indices": [len(network.blocks) - 2], "output_fmt": "NLC", "intermediates_only": True}
    (found,) = network.forward_intermediates(images, return_prefix_tokens=True, **before)
    patches, others = found if isinstance(found, tuple) else (found, found[:, :0])
    tokens = torch.cat((others, patches), 1)
    normed, first = last.norm1(tokens), others.shape[1]

    def rest(features: Tensor) -> Tensor:
        seen = torch.cat((normed[:, :first], features.flatten(1, 2)), 1)
        x = tokens + last.drop_path1(last.ls1(last.attn(seen)))
        x = x + last.drop_path2(last.ls2(last.mlp(last.norm2(x))))
        logits: Tensor = network.forward_head(network.norm(x))
        return logits

    return Halves(normed[:, first:].unflatten(1, network.patch_embed.grid_size), 3, rest)
