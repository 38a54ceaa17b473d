"""Several processes that compute one run: who does which rows, and what they sum up.

Each process draws the same plan and computes the rows r, r + N, r + 2 N, ... of every batch, r being its number. What
depends on the whole batch is summed over the processes: gradients, batch-norm statistics, losses. One process forms no
group, and every function here then gives back what it was given.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import accumulate, groupby
from typing import TypeVar

import torch
import torch.distributed as dist
from torch import Tensor

from impasto.errors import ImpastoError
from impasto.runtime import device, first, runtime

_BUCKET = 1 << 23  # numbers that are summed at once: what gradients take beside themselves
P = TypeVar("P")
T = TypeVar("T")


class LostError(ImpastoError):
    """Another process of the run has ended, which the one that started them tells."""

    def __init__(self, reason: str) -> None:
        super().__init__(
            f"lost contact with the other processes of the run: {reason}",
            where=f"process {index()} of {count()}",
            remedy="The same command goes on from the last saved point.",
        )


def index() -> int:
    """The number of this process among those of the run, from 0."""
    return dist.get_rank() if dist.is_initialized() else 0


def count() -> int:
    """How many processes compute the run."""
    return dist.get_world_size() if dist.is_initialized() else 1


@contextmanager
def joined() -> Iterator[None]:
    """Be one of the processes that torchrun has started, as its variables say; without them nothing happens.

    NCCL connects processes that have a GPU each, gloo those on the CPU or on one named GPU.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        yield
        return
    place = device()
    if place.type == "cuda":
        torch.cuda.set_device(place)
    alone = place.type == "cuda" and ":" not in runtime().device
    threading.Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()
    with _connected():
        dist.init_process_group("cpu:gloo,cuda:nccl" if alone else "gloo")
    yield
    dist.destroy_process_group()  # after an error it might wait for processes that are no more


def share(n: int) -> slice:
    """The rows of a batch of n images that this process computes: all of one that does not go round."""
    return slice(index(), None, count()) if n >= count() else slice(None)


def least(n: int) -> int:
    """The least number of those n images that a process computes."""
    return n // count() if n >= count() else n


def shown(n: int) -> int:
    """How many images the processes compute together of a batch of n."""
    return n if n >= count() else n * count()


_batch = 0, 1  # images and views of the batch that is computed now


@contextmanager
def sharing(n: int, views: int = 1) -> Iterator[slice]:
    """:func:`share`; meanwhile what depends on the batch is that of all processes, if they are :func:`together`."""
    global _batch
    before, _batch = _batch, (n, views)
    try:
        yield share(n)
    finally:
        _batch = before


def together() -> bool:
    """Whether the images that the processes compute now are parts of one batch."""
    return _batch[0] >= count() > 1


def extent(rows: int) -> int:
    """How many rows the batch has, in its views, of what has so many of them for this process's images.

    Raises:
        ImpastoError: these are not as many rows of each image.
    """
    n, views = _batch
    held = views * len(range(n)[share(n)])
    if rows % held:
        raise ImpastoError(
            f"the network makes {rows} rows of {held} images, which several processes cannot share",
            where="model.name",
            remedy="Set IMPASTO_PROCESSES to 1, or choose another network.",
        )
    return rows // held * views * n


def own(batch: Tensor) -> Tensor:
    """Of a tensor [V n k, ...] with k rows of each image of the batch those of this process's images: [V b k, ...]."""
    n, views = _batch
    some: Tensor = batch.unflatten(0, (views, n, -1))[:, share(n)].flatten(0, 2)
    return some


def total(values: Tensor) -> Tensor:
    """Sum a contiguous tensor over the processes, in place; all get the same bits.

    Raises:
        LostError: another process has ended.
    """
    if count() > 1:
        with _connected():
            dist.all_reduce(values)
    return values


def collected(values: Tensor) -> Tensor:
    """The tensors [K] of all processes, as [N, K]; each process has its own row."""
    rows = values.new_zeros(count(), *values.shape)
    rows[index()] = values
    return total(rows)


def whole(images: Tensor, n: int) -> Tensor:
    """A batch [V n, ...] from what each process has of it, in V views: [V b, ...], the rows :func:`share`."""
    if count() == 1 or n < count():
        return images
    views = len(images) // len(range(n)[share(n)])
    batch = images.new_zeros(views, n, *images.shape[1:])
    batch[:, share(n)] = images.unflatten(0, (views, -1))
    return total(batch).flatten(0, 1)


def total_gradients(parameters: Iterable[torch.nn.Parameter]) -> None:
    """Sum gradients over the processes, in place; the same parameters have one on each of them."""
    if count() == 1:
        return
    found = [p.grad for p in parameters if p.grad is not None]
    ends = accumulate(grad.numel() for grad in found)
    for _, bucket in groupby(zip(found, ends, strict=True), key=lambda entry: entry[1] // _BUCKET):
        grads = [grad for grad, _ in bucket]
        flat = total(torch.cat([grad.flatten() for grad in grads]))
        for grad, part in zip(grads, flat.split([grad.numel() for grad in grads]), strict=True):
            grad.copy_(part.view(grad.shape))


def dealt(parts: Sequence[P], make: Callable[[P], Tensor], blank: Callable[[P], Tensor]) -> Iterator[tuple[P, Tensor]]:
    """Make something of each part, every process of some of them, and give all of it to all, in the parts' order.

    Args:
        parts: the same in all processes; process r makes r, r + N, ... What is made of them goes over the network.
        make: from a part to a tensor.
        blank: an empty contiguous tensor of the shape, type and device of what ``make`` gives for a part.
    """
    for start in range(0, len(parts), count()):
        some = parts[start : start + count()]
        made = make(some[index()]).contiguous() if index() < len(some) else None
        for source, part in enumerate(some):
            found = made if made is not None and source == index() else blank(part)
            if count() > 1:
                with _connected():
                    dist.broadcast(found, source)
            yield part, found


def told(value: T) -> T:
    """What the first process says."""
    if count() == 1:
        return value
    values = [value]
    with _connected():
        dist.broadcast_object_list(values, 0, device=torch.device("cpu"))
    return values[0]


@contextmanager
def _connected() -> Iterator[None]:
    try:
        yield
    except RuntimeError as error:
        raise LostError(str(error).splitlines()[0]) from error


def _end_with(parent: int) -> None:
    """End this process when that which started it is gone, and could end it no more."""
    while os.getppid() == parent:
        time.sleep(1)
    if first():
        print("error: torchrun is gone: the same command goes on from the last saved point", file=sys.stderr)
    os._exit(1)
