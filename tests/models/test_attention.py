"""The estimators of attention: against their formulas written out, and what each makes of the global feature."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from impasto.errors import ImpastoError
from impasto.models.attention import AttentionHead

ESTIMATORS = ("additive_softmax", "dot", "tanh_additive", "sigmoid", "gap")
CHANNELS = (3, 8, 8)  # the first is projected to the width of the others
CLASSES = 5


def head(estimator: str, width: int | None = None, seed: int = 0) -> AttentionHead:
    torch.manual_seed(seed)
    made = AttentionHead((1, 2, 4), CHANNELS, CLASSES, estimator=estimator, width=width, dropout=0.0)
    return made.double()


def maps(n: int = 2, seed: int = 1) -> list[Tensor]:
    source = torch.Generator().manual_seed(seed)
    shapes = [(n, c, side, side + 1) for c, side in zip(CHANNELS, (16, 8, 4), strict=True)]
    return [torch.randn(shape, generator=source, dtype=torch.float64) for shape in shapes]


def projected(tap: nn.Module, features: Tensor) -> Tensor:
    """Every position through the 1 x 1 convolution: [N, positions, D]."""
    wide = features if tap.projection is None else tap.projection(features)
    return wide.flatten(2).transpose(1, 2)


def by_hand(made: AttentionHead, shown: list[Tensor], estimator: str) -> tuple[list[Tensor], Tensor]:
    """Weights and logits position by position, in width D throughout, as the formulas have it."""
    weights, pooled = [], []
    g = projected(made.taps[-1], shown[-1]).mean(1)
    for tap, features in zip(made.taps, shown, strict=True):
        local = projected(tap, features)
        rows = []
        for image, context in zip(local, g, strict=True):
            if estimator == "dot":
                score = torch.stack([place @ context for place in image])
            elif estimator == "tanh_additive":
                inner = [torch.tanh(place + made.context.weight @ context) for place in image]
                score = torch.stack([tap.direction @ one for one in inner])
            elif estimator == "gap":
                score = torch.zeros(len(image), dtype=image.dtype)
            else:
                score = torch.stack([tap.direction @ (place + context) for place in image])
            odds = 1 / (1 + (-score).exp()) if estimator == "sigmoid" else score.exp()
            rows.append(odds / (len(odds) if estimator == "sigmoid" else odds.sum()))
        weights.append(torch.stack(rows))
        pooled.append(torch.stack([a @ image for a, image in zip(rows, local, strict=True)]))
    first, _, _, last = made.classify
    hidden = (torch.cat(pooled, 1) @ first.weight.T + first.bias).clamp(min=0)
    return weights, hidden @ last.weight.T + last.bias


@pytest.mark.parametrize("width", [None, 6])
@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_weights_and_logits_equal_the_formulas(estimator: str, width: int | None) -> None:
    made, shown = head(estimator, width), maps()
    weights, logits = by_hand(made, shown, estimator)
    found = made.weights(shown)
    assert list(found) == [1, 2, 4]
    for each, wanted, features in zip(found.values(), weights, shown, strict=True):
        assert each.shape == (2, *features.shape[2:])
        torch.testing.assert_close(each.flatten(1), wanted)
    torch.testing.assert_close(made(shown), logits)


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_weights_are_not_negative_and_sum_to_one(estimator: str) -> None:
    for each in head(estimator).weights(maps()).values():
        total = each.flatten(1).sum(1)
        assert each.min() >= 0
        if estimator == "sigmoid":
            assert total.max() < 1, "gates, each in (0, 1), averaged over the positions"
        else:
            torch.testing.assert_close(total, torch.ones(2).double())


@pytest.mark.parametrize(
    ("estimator", "ignores"),
    [("additive_softmax", True), ("gap", True), ("dot", False), ("tanh_additive", False), ("sigmoid", False)],
)
def test_who_ignores_the_global_feature(estimator: str, ignores: bool) -> None:
    """The published score is linear: u (P l + g) = u P l + u g, and u g is the same at every position of an image.

    A softmax over the positions does not see what is added to all of them, so neither the weights nor the logits depend
    on g, and no gradient reaches it. (The published network uses g nowhere else.)
    """
    tap = head(estimator).taps[0]
    features, g = maps()[0], torch.randn(2, 8, dtype=torch.float64, requires_grad=True)
    weights, other = tap.weights(features, g), tap.weights(features, 5 * g.detach().flip(1) - 3)
    assert torch.allclose(weights, other, atol=1e-12) == ignores
    assert torch.allclose(tap(features, g), tap(features, 5 * g - 3), atol=1e-12) == ignores
    made = tap(features, g)
    (gradient,) = torch.autograd.grad(made.square().sum(), g, allow_unused=True, retain_graph=True)
    scale = float(made.detach().square().sum())
    if ignores:
        assert gradient is None or gradient.abs().max() < 1e-12 * scale
    else:
        assert gradient is not None and gradient.abs().max() > 1e-4 * scale


@pytest.mark.parametrize("estimator", ["additive_softmax", "tanh_additive", "sigmoid"])
def test_a_direction_of_zero_is_average_pooling(estimator: str) -> None:
    made, plain, shown = head(estimator), head("gap"), maps()
    for tap in made.taps:
        nn.init.zeros_(tap.direction)
    half = 0.5 if estimator == "sigmoid" else 1.0  # a gate of zero is half open
    for name, each in made.weights(shown).items():
        torch.testing.assert_close(each, half * plain.weights(shown)[name])
    for tap, features in zip(made.taps, shown, strict=True):
        wide = features if tap.projection is None else tap.projection(features)
        wanted = half * functional.adaptive_avg_pool2d(wide, 1).flatten(1)
        torch.testing.assert_close(tap(features, torch.zeros(2, 8).double()), wanted)


def test_a_tap_of_the_heads_width_is_not_projected() -> None:
    made = head("additive_softmax")
    assert [tap.projection is None for tap in made.taps] == [False, True, True]
    assert sum(p.numel() for p in made.parameters()) == 3 * 8 + 3 * 8 + (24 * 8 + 8) + (8 * 5 + 5)


def test_a_direction_is_drawn_as_a_layer_of_its_inputs() -> None:
    drawn = AttentionHead((1,), (400,), 2, estimator="sigmoid", width=None, dropout=0.0).taps[0].direction.detach()
    assert 0.9 * 400**-0.5 < drawn.abs().max() <= 400**-0.5 and abs(drawn.mean()) < 0.01


def test_a_large_global_feature_blurs_nothing_in_half_precision() -> None:
    """u g is the same for all positions, but in bfloat16 a sum with it would keep a few bits of what differs."""
    tap, features = head("additive_softmax").taps[0].bfloat16(), maps()[0].bfloat16()
    nothing, large = (torch.full((2, 8), value, dtype=torch.bfloat16) for value in (0.0, 300.0))
    assert tap.weights(features, nothing).dtype == torch.float32
    torch.testing.assert_close(tap.weights(features, large), tap.weights(features, nothing), atol=1e-6, rtol=1e-4)


def test_dropout_acts_between_the_dense_layers() -> None:
    made = AttentionHead((1,), (4,), 2, estimator="gap", width=4, dropout=0.9)
    kinds = [type(layer) for layer in made.classify]
    assert kinds == [nn.Linear, nn.ReLU, nn.Dropout, nn.Linear] and made.classify[2].p == 0.9


def test_fewer_than_four_by_four_positions_are_refused() -> None:
    shown = maps()
    shown[2] = shown[2][:, :, :3]
    with pytest.raises(ImpastoError, match=r"the map of stride 4 has 3 x 5 positions; attention needs 4 x 4"):
        head("gap")(shown)
