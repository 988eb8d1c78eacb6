"""One update: forward, the loss of the whole batch, backward, optimizer; in one piece or in chunks.

Shapes are static and nothing is read back from the device.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from ..machine import devices, parallel
from ..methods import Batch, Method

Forward = Callable[[Batch], tuple[Tensor, ...]]


def update(
    method: Method,
    optimizer: torch.optim.Optimizer,
    batch: Batch,
    step: int,
    total: int,
    dtype: torch.dtype = torch.float32,
    chunks: int = 1,
) -> Tensor:
    """Update number `step` of `total`; returns (2,) loss and accuracy, still on the device.

    `batch` has this process's rows, on the device of `method`. Matrix products and convolutions are
    made in `dtype`. With several `chunks` the network holds one of them at a time, see
    `_backward_in_chunks`.
    """
    device = batch.labels.device

    def forward(part: Batch) -> tuple[Tensor, ...]:
        fast = (x.contiguous(memory_format=torch.channels_last) for x in part.views)
        with devices.autocast(device, dtype):
            return method(part._replace(views=tuple(fast)))

    with torch.no_grad():
        method.before_step(step, total)
    method.zero_grad(set_to_none=True)  # the optimizer's own would import a compiler first
    if chunks == 1:
        loss, accuracy = _loss(method, forward(batch), batch.labels)
        loss.backward()
    else:
        loss, accuracy = _backward_in_chunks(method, forward, batch, chunks)
    parallel.sum_gradients(method)
    optimizer.step()
    with torch.no_grad():
        method.after_step(step, total)
    metrics = torch.stack([loss.detach(), accuracy])
    devices.finish_step(device)
    return metrics


def _loss(method: Method, outputs: tuple[Tensor, ...], labels: Tensor) -> tuple[Tensor, Tensor]:
    """Loss and accuracy of the global batch: every process computes them from the rows of all."""
    return method.loss(tuple(parallel.gather(x) for x in outputs), parallel.gather(labels))


def _backward_in_chunks(
    method: Method, forward: Forward, batch: Batch, chunks: int
) -> tuple[Tensor, Tensor]:
    """Gradients of a batch whose activations do not fit: two forward passes, chunk by chunk.

    The first finds the outputs of the whole batch and, from the loss, its gradient with respect to
    them; the second hands every chunk its rows of that gradient (GradCache, arXiv 2101.06983). All
    views still meet in the loss, which adding up gradients of small batches would not give. Batch
    norm sees one chunk at a time, and its moving statistics move once a chunk. A chunk is every
    `chunks`-th row.
    """
    moving = [buffer.clone() for buffer in method.buffers()]
    parts, found = [batch.rows(slice(first, None, chunks)) for first in range(chunks)], []
    for part in parts:
        with torch.no_grad():
            found.append(forward(part))
        devices.finish_step(batch.labels.device)  # or XLA would do all chunks at once
    for buffer, value in zip(method.buffers(), moving, strict=True):
        buffer.copy_(value)
    caches = [torch.stack(rows, dim=1) for rows in zip(*found, strict=True)]  # (rows, chunks, ...)
    for cache in caches:
        cache.requires_grad_(cache.is_floating_point())
    loss, accuracy = _loss(method, tuple(cache.flatten(0, 1) for cache in caches), batch.labels)
    loss.backward()
    for number, part in enumerate(parts):
        outputs, gradients = [], []
        for output, cache in zip(forward(part), caches, strict=True):
            if output.requires_grad and cache.grad is not None:  # not what was never to be trained
                outputs.append(output)
                gradients.append(cache.grad[:, number])
        torch.autograd.backward(outputs, gradients)
        devices.finish_step(batch.labels.device)
    return loss, accuracy
