"""How well a model does on plain original images, while it is trained."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from impasto import ranks
from impasto.config.train import Train
from impasto.data.images import to_unit
from impasto.data.stream import Stream
from impasto.losses import cross_entropy
from impasto.precision import autocast

Row = dict[str, float]


def measure(
    model: nn.Module,
    stream: Stream,
    train: Train,
    device: torch.device,
    batch: int = 1000,
    balanced: bool = False,
    answers: Callable[[Tensor], Tensor] | None = None,
) -> Row:
    """Cross-entropy and accuracy of a model on a stream of plain images; of several processes each takes some batches.

    ``balanced`` adds the mean over classes of their accuracy, of those that have images. ``answers`` gives the logits
    of rows int64 [b] of the stream where they need not be computed from the images.
    """
    model.eval()
    loss = torch.zeros((), device=device)
    correct = torch.zeros((), device=device)
    per_class = torch.zeros(2, int(stream.labels.max()) + 1, device=device)
    with torch.inference_mode(), autocast(train.precision, device):
        for rows in torch.arange(len(stream)).split(batch)[ranks.index() :: ranks.count()]:
            labels = stream.labels[rows].to(device)
            logits = (answers(rows) if answers else model(to_unit(stream.gather(rows)))).float()
            loss += cross_entropy(logits, labels, train.label_smoothing) * len(rows)
            right = logits.argmax(1) == labels
            correct += right.sum()
            if balanced:
                for row, chosen in enumerate((labels[right], labels)):
                    per_class[row] += torch.bincount(chosen, minlength=per_class.shape[1])
        loss, correct = ranks.total(torch.stack([loss, correct]))
        found = {"loss": float(loss) / len(stream), "accuracy": float(correct) / len(stream)}
        if balanced:
            hits, shown = ranks.total(per_class)
            found["balanced_accuracy"] = float((hits[shown > 0] / shown[shown > 0]).mean())
    return found


def sureness(model: nn.Module, stream: Stream, n: int, train: Train, device: torch.device, batch: int = 250) -> Tensor:
    """The probability that a model gives to the class of each of the first n images of a stream, all plain.

    Of several processes each computes all of it.

    Returns:
        float32 [n] on the CPU, in [0, 1].
    """
    model.eval()
    found = []
    with torch.inference_mode(), autocast(train.precision, device):
        for rows in torch.arange(n).split(batch):
            probability = model(to_unit(stream.gather(rows))).float().softmax(1)
            found.append(probability.gather(1, stream.labels[rows].to(device)[:, None])[:, 0].cpu())
    return torch.cat(found)
