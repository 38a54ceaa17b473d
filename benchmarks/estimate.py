"""What an epoch of each paper preset should cost on one H100, from counted operations and bytes. Nothing is run.

Run: ``python benchmarks/estimate.py``, then ``make docs``; the presets are read, the networks live on the device
``meta``, and metrics/estimate.json is written. Operations are those that torch's counter sees in one forward pass,
three times as many with the backward pass. The assumptions stand in the file and in docs/performance.md.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks
from torch.utils.flop_counter import FlopCounterMode

from impasto.commands.preset import apply
from impasto.config.base import load
from impasto.config.dataset import Dataset
from impasto.config.mix import Mix
from impasto.config.model import Model
from impasto.config.presets import Presets
from impasto.config.style import Style
from impasto.config.synthetic import Synthetic
from impasto.config.train import Train
from impasto.io import write_json
from impasto.models.registry import build
from impasto.style.vgg import Vgg19Encoder, VggDecoder, decoder_shapes, encoder_shapes

ROOT = Path(__file__).resolve().parents[1]
OUT = ROOT / "metrics" / "estimate.json"
SIZES = {"cifar10": (50_000, 10), "cifar100": (50_000, 100), "tiny_imagenet": (100_000, 200)}  # images, classes
ASSUMED = {
    "tflops": 989,  # H100 SXM, dense fp16 and bf16, data sheet
    "terabytes_per_second": 3.35,  # HBM3, data sheet
    "reached": 0.3,  # of either: small convolutions reach far less than large matrix products
    "passes": 5,  # over each saved activation: written, read forwards and backwards, its gradient written and read
    "bytes": 2,  # of an activation: half precision
    "chunk": 256,  # images stylised at once on a GPU
}
_TABLES = ("table2", "table5", "table6")  # other rows cost what one of these costs; ViT is not counted
_ROWS = ("baseline", "ours", "noisymix", "ours-re-n", "ours-re-n-fn")
_HALF = ASSUMED["bytes"]


def estimate(*names: str) -> dict[str, Any]:
    """Seconds, TFLOP and GB of paper presets, by default of all that differ in cost, and what is assumed."""
    rows = Presets(ROOT / "presets").rows
    costly = [name for name in rows if name.startswith(_TABLES) and name.endswith(_ROWS) and "vit" not in name]
    return {"assumed": ASSUMED, "presets": {name: _preset(name) for name in names or costly}}


def _preset(name: str) -> dict[str, float | int]:
    with tempfile.TemporaryDirectory() as folder:
        params = Path(folder) / "params.yaml"
        shutil.copy(ROOT / "params.yaml", params)
        apply(Presets(ROOT / "presets").compose([name]).leaves, params, name)
        data, mix, model, style, train = (load(params, each) for each in (Dataset, Mix, Model, Style, Train))
        pool = load(params, Synthetic).count if mix.lambda_ else 0
    whole, classes = SIZES[data.name]
    images = round(whole * (1 - data.validation))
    painted = images * ((1 - mix.lambda_) * mix.lambda_o + mix.lambda_ * mix.lambda_s) * style.refresh
    network = build(model, classes, [0.5] * 3, [0.25] * 3, seed=0).to("meta").train()
    operations, saved = _forward(network, data.size)
    shown = images * (3 if train.consistency else 1)  # views
    training = _seconds(3 * operations * shown, saved * ASSUMED["passes"] * shown)
    style_operations, moved, peak = _stylising(style.upscale) if painted else (0, 0, 0)
    painting = _seconds(style_operations * painted, moved * painted)
    weights = sum(p.numel() for p in network.parameters()) * 4 * 4  # weights, gradients, momentum, average; float32
    resident = sum(3 * data.size**2 * n for n in (images, pool) if 3 * data.size**2 * n <= 4 << 30)
    bank = 3 * data.size**2 * painted
    return {
        "images": images,
        "stylised": round(painted),
        "training_tflop": round(3 * operations * shown / 1e12, 1),
        "stylising_tflop": round(style_operations * painted / 1e12, 1),
        "training_gb_moved": round(saved * ASSUMED["passes"] * shown / 1e9),
        "stylising_gb_moved": round(moved * painted / 1e9),
        "training_s": round(training, 1),
        "stylising_s": round(painting, 1),
        "epoch_s": round(training + painting, 1),
        "hours_of_run": round((training + painting) * train.epochs / 3600, 1),
        "memory_images_gb": round((resident + bank) / 1e9, 2),
        "memory_training_gb": round((saved * train.batch * shown / images + weights) / 1e9, 2),
        "memory_stylising_gb": round(peak * ASSUMED["chunk"] / 1e9, 2),
    }


def _seconds(operations: float, moved: float) -> float:
    """The longer of computing and moving."""
    compute = operations / (ASSUMED["tflops"] * 1e12 * ASSUMED["reached"])
    return max(compute, moved / (ASSUMED["terabytes_per_second"] * 1e12 * ASSUMED["reached"]))


def _forward(network: nn.Module, size: int, batch: int = 2) -> tuple[float, float]:
    """Operations of a forward pass, and bytes that it saves for the backward pass, for one image."""
    saved: dict[int, int] = {}
    alive: list[Tensor] = []  # or else a new storage may get the number of one that is gone

    def keep(tensor: Tensor) -> Tensor:
        if tensor.is_floating_point() and tensor.ndim == 4 and not isinstance(tensor, nn.Parameter):
            alive.append(tensor)
            saved[tensor.untyped_storage()._cdata] = tensor.numel() * _HALF
        return tensor

    with FlopCounterMode(display=False) as counted, saved_tensors_hooks(keep, lambda tensor: tensor):
        network(torch.rand(batch, 3, size, size, device="meta"))
    return counted.get_total_flops() / batch, sum(saved.values()) / batch


def _stylising(side: int) -> tuple[float, float, float]:
    """Operations, bytes written and read, and bytes held at once, of stylising one image."""
    weights = [
        {name: torch.empty(shape, device="meta") for name, shape in shapes.items()}
        for shapes in (encoder_shapes(), decoder_shapes())
    ]
    encoder, decoder = Vgg19Encoder(side, weights[0]), VggDecoder(weights[1])
    moved, largest = [0.0], [0.0]

    def note(_: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        through = (inputs[0].numel() + output.numel()) * _HALF
        moved[0], largest[0] = moved[0] + through, max(largest[0], through)

    for layer in (*encoder.layers, *decoder.layers):
        layer.register_forward_hook(note)
    with FlopCounterMode(display=False) as counted, torch.no_grad():
        levels = encoder.levels(torch.empty(1, 3, side, side, device="meta"))
        decoder(levels[-1])
    held = sum(level.numel() for level in levels) * _HALF
    return counted.get_total_flops(), moved[0], largest[0] + held


if __name__ == "__main__":
    write_json(OUT, estimate())
