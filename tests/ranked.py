"""What several processes compute in the tests: `python -m ranked FOLDER` starts them, and each writes a file there."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import torch
from timm.layers import BatchNormAct2d
from torch import Tensor, nn

from impasto import ranks
from impasto.augment import feature_noise
from impasto.checkpoint import Resume
from impasto.config.selection import Selection
from impasto.config.train import Chosen
from impasto.corrupted.sources import CLEAN, Cell, Generated
from impasto.data.images import Images
from impasto.evaluation import predict_all
from impasto.fid.curve import draw_uniforms, grid, measure_curve, original_distance
from impasto.fid.extractors import feature_moments
from impasto.kept import Kept
from impasto.loop import Loop, seeded
from impasto.models.shared_batch_norm import share_batch_norm
from impasto.phase import Phase, base_phase
from impasto.rng import generator
from impasto.training import fit
from impasto.validation import measure
from tiny import CPU, ROOT, augment, evaluate, feed, mix, model, pictures, stream, train

NOISES = {"noise": True, "deepaugment": {"share": 0.5, "size": 48}}
#: What is trained: the images' number leaves a last batch of 1, 2, 5 or 16; parameters of the run; augmentation.
RUNS: dict[str, tuple[int, dict[str, Any], dict[str, Any]]] = {
    "plain": (50, {}, {"flip": True, "crop": 2, "trivial": True, "erase": 0.3}),
    "one left": (33, {"averaging": {"start": 0.5}}, {"trivial": True}),
    "mixed": (37, {"optimizer": "adamw", "learning_rate": 0.01}, {"mixup": 0.4, "cutmix": 0.4, **NOISES}),
    "views": (48, {"consistency": 12.0}, {"augmix": "all", "mixup": 0.5, "crop": 2}),
    "dropout": (33, {"epochs": 1, "averaging": {"start": 1e-9}}, {}),
    "feature noise siedel": (21, {"epochs": 1}, {"feature_noise": "siedel", "mixup": 0.5, "cutmix": 0.5}),
    "noisymix with views": (33, {"epochs": 1, "consistency": 12.0}, {"feature_noise": "noisymix", "mixup": 1.0}),
}
#: The section ``model`` of a run, where it is not the smallest network's.
ATTENTION = {"attention": "tanh_additive", "taps": [2, 4], "projection": None, "head_dropout": 0.4}
NETWORKS: dict[str, dict[str, Any]] = {"dropout": {"dropout": 0.3, **ATTENTION}}


def together(count: int, folder: Path) -> list[Any]:
    """What each of so many processes has found, with the variables that torchrun would set: it takes seconds itself."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    own = {"PYTHONPATH": f"{ROOT / 'src'}:{ROOT / 'tests'}", "DVC_ROOT": str(folder), "MASTER_ADDR": "127.0.0.1"}
    own |= {"MASTER_PORT": str(port), "WORLD_SIZE": str(count), "LOCAL_WORLD_SIZE": str(count)}
    command = [sys.executable, "-m", "ranked", str(folder)]
    done = subprocess.run(command, env=os.environ | own, stderr=subprocess.PIPE, text=True, check=False)
    assert not done.returncode, done.stderr
    return [torch.load(folder / f"{rank}.pt", weights_only=True) for rank in range(count)]


def exact(**changes: Any) -> nn.Module:
    """A network that computes in float64 what float32 images become when normalised."""
    network = model(**changes).double()
    network.normalise.float().register_forward_hook(lambda _module, _given, found: found.double())
    return network


def run(
    name: str, folder: Path, phases: list[Phase] | None = None, selection: Selection | None = None
) -> dict[str, Any]:
    """A few epochs in float64: rows, weights and statistics, and the paintings of one epoch more."""
    n, changes, augmented = RUNS[name]
    config = train(**{"epochs": 2, "clip": 0.5, **changes})
    network = exact(**NETWORKS.get(name, {}))
    found = feed(n=n, refresh=0.4, file=folder / name / "paintings.npy", augmented=augment(**augmented), seed=3)
    found.views = 3 if config.consistency else 1
    resume = Resume(name, folder.name)
    trained = fit(
        network,
        found,
        stream(21, seed=9),
        phases or [base_phase(config)],
        config,
        purpose="test",
        resume=resume,
        on_epoch=lambda _epoch, _row: None,
        selection=selection,
    )
    plan = found.plan(config.epochs)
    found.paintings.paint(plan)
    shown = found.paintings.show(plan.stylised.nonzero()[:, 0])
    return {"history": [*trained.rows, trained.last], "state": network.state_dict(), "paintings": shown}


def statistics(images: Tensor, weights: Tensor) -> dict[str, Tensor]:
    """Two passes of three batch norms over this process's rows: outputs, gradients, statistics."""
    norms = nn.Sequential(
        nn.BatchNorm2d(3), BatchNormAct2d(3, act_layer=nn.SiLU), nn.BatchNorm2d(3, momentum=None, affine=False)
    ).double()
    with torch.no_grad():
        norms[0].weight.copy_(torch.tensor([0.5, 1.5, -2.0]))
    share_batch_norm(norms)
    for _ in range(2):
        with ranks.sharing(len(images)) as own:
            shown = images[own].clone().requires_grad_()
            out = norms(shown)
            (out * weights[own]).sum().div(ranks.shown(len(images)) / len(images)).backward()
    ranks.total_gradients(norms.parameters())
    assert shown.grad is not None and norms[0].weight.grad is not None and norms[0].bias.grad is not None
    found = {"out": out.detach(), "images": shown.grad, "weight": norms[0].weight.grad, "bias": norms[0].bias.grad}
    return found | {name: buffer.clone() for name, buffer in norms.named_buffers()}


def batches() -> dict[int, tuple[Tensor, Tensor]]:
    """Images of which each channel has a mean and spread of its own, and weights of a loss, by their number."""
    draws = torch.Generator().manual_seed(0)
    scale, shift = torch.tensor([1.0, 10.0, 0.1]).view(3, 1, 1), torch.tensor([0.0, 1000.0, -3.0]).view(3, 1, 1)
    ramp = torch.arange(8).view(8, 1, 1, 1)
    images = torch.randn(8, 3, 5, 4, generator=draws).double() * scale + shift + ramp
    weights = torch.randn(8, 3, 5, 4, generator=draws).double()
    return {n: (images[:n], weights[:n]) for n in (1, 2, 3, 5, 8)}


def gradient(count: int) -> list[Tensor]:
    """The gradient of one step in so many parts, without batch norm's statistics."""
    config = train(batch=48, accumulate=count, clip=1e9, learning_rate=1e-30)
    found = feed(n=45, augmented=augment(mixup=1.0), batch=48, mixed=mix())
    network = exact().eval()
    loop = Loop(network, found, [base_phase(config)], config, "test")
    plan, given = found.epoch(0)
    for images, labels in given:
        loop.step(images, labels, plan.synthetic, 0, 0)
    return [p.grad for p in network.parameters() if p.grad is not None]


def inside(processes: int) -> list[Tensor]:
    """The gradient of three parts with dropout, mixing and noise inside; one process shows the parts of many."""
    config, phase = train(batch=48, accumulate=3, clip=1e9), Phase(1, lambda _: 1e-30, batch_norm="frozen")
    found = feed(augmented=augment(feature_noise="noisymix", mixup=1.0), batch=48, seed=3)
    network = exact(dropout=0.3)
    loop = Loop(network, found, [phase], config, "test")
    loop.open(phase)
    order = torch.arange(48)
    if ranks.count() == 1:  # image p + 3 k is the k-th of those that the processes compute as their part p
        order = torch.stack([order[order // processes % 3 == part] for part in range(3)], 1).flatten()
    plan, given = found.epoch(0)
    for images, labels in given:
        with seeded(found, "test"):
            loop.step(images[order[: len(images)]], labels[order], plan.synthetic[order], 0, 0)
    return [p.grad for p in network.parameters() if p.grad is not None]


def depths(name: str) -> list[int]:
    """Where each batch of a run's first epoch has its noise."""
    n, _, augmented = RUNS[name]
    kind = augmented["feature_noise"]
    count, varied = {"siedel": 3, "noisymix": 4}[kind], kind == "siedel"
    sources = [generator(3, "feature-noise", 0, batch) for batch in range(-(-n // 16))]
    return [feature_noise.draw(depths=count, varied=varied, generator=source).depth for source in sources]


class Noted(Generated):
    """Corrupted sets that note which batches this process asks for."""

    def __init__(self, n: int) -> None:
        pixels, labels = pictures(n)
        super().__init__(Images(pixels.repeat(2, 2).repeat(2, 3), labels, ("a", "b", "c", "d"), ""), evaluate(), CPU)
        self.asked: list[tuple[str, int, int]] = []

    def batch(self, cell: Cell, rows: slice) -> Tensor:
        self.asked.append((*cell, rows.start))
        return super().batch(cell, rows)


def answers(kept: Kept | None = None) -> dict[str, Any]:
    """Two classifiers on five cells of 10 images, in batches of 4, 4 and 2."""
    sets, models = Noted(10), {str(seed): model(seed=seed).eval() for seed in (0, 1)}
    cells = [CLEAN, *((name, severity) for name in ("gaussian_noise", "contrast") for severity in (1, 5))]
    found = predict_all(models, sets, cells, CPU, "fp32", batch=4, kept=kept)
    kept = {f"{k} of {name}": torch.from_numpy(getattr(one, k)) for name, one in found.items() for k in ANSWERS}
    return {"asked": sets.asked, **kept}


ANSWERS = ("predicted", "confidence", "labels")


class Six:
    """A cheap extractor, mean and deviation of each channel, that notes how many images each batch had."""

    name, identity, resize, dimension, device = "six", "", "", 6, CPU

    def __init__(self) -> None:
        self.batches: list[int] = []

    def __call__(self, images: Tensor) -> Tensor:
        self.batches.append(len(images))
        return torch.cat([images.float().mean((2, 3)), images.float().std((2, 3))], 1)


def curve(kept: Kept | None = None) -> dict[str, Any]:
    """Distances of 50 images, in batches of 7, from 1,100: a block of four parts and one of a part."""
    some, real, held = (torch.from_numpy(pictures(n, seed=n)[0]) for n in (50, 1100, 30))
    six, u = Six(), draw_uniforms(50, torch.Generator().manual_seed(3))
    reference = feature_moments(six, real, kept=kept)

    def darken(part: Tensor, rows: Tensor) -> Tensor:
        return part // (1 + rows % 5)[:, None, None, None]

    values = measure_curve(six, some, darken, u, reference, grid(11), 7, kept).values
    original = original_distance(six, held, reference, kept)
    facts = {"values": values, "original": original, "sum": reference.sum, "outer": reference.outer}
    return facts | {"batches": six.batches}


def everything(folder: Path) -> dict[str, Any]:
    """All that the tests compare with one process."""
    frozen = [Phase(1, lambda e: 0.05, open=1, batch_norm="frozen"), Phase(1, lambda e: 0.02, open=3)]
    found: dict[str, Any] = {f"run {name}": run(name, folder) for name in RUNS}
    found["run plain, frozen"] = run("plain", folder / "frozen", frozen)
    spoilt = [Phase(4, [0.02, 5.0, 0.02, 0.02].__getitem__, open=1), Phase(1, lambda e: 0.01, open=3)]
    chosen = Chosen.model_validate({"metric": "loss", "patience": 1})
    found["run plain, chosen"] = run("plain", folder / "chosen", spoilt, chosen)
    found["statistics"] = {n: statistics(*batch) for n, batch in batches().items()}
    found["gradient"] = {count: gradient(count) for count in (1, 3)}
    found["inside"] = {count: inside(count) for count in ((2, 4) if ranks.count() == 1 else [ranks.count()])}
    found["measured"] = measure(exact(), stream(47, seed=9), train(), CPU, batch=10, balanced=True)
    found["answers"], found["curve"] = answers(), curve()
    found["told"] = ranks.told({"from": ranks.index()})
    return found


def process(rank: int, folder: Path) -> None:
    """One of the processes, which the imports of the first one spare its own."""
    os.environ |= {"RANK": str(rank), "LOCAL_RANK": str(rank)}
    with ranks.joined():
        torch.save(everything(folder), folder / f"{ranks.index()}.pt")


if __name__ == "__main__":
    started = get_context("fork")
    numbers = range(int(os.environ["WORLD_SIZE"]))
    running = [started.Process(target=process, args=(number, Path(sys.argv[1]))) for number in numbers]
    for each in running:
        each.start()
    for each in running:
        each.join()
    sys.exit(any(each.exitcode for each in running))
