"""One update: forward, the objective of the whole batch, backward, LARS; in one piece or in chunks.

Shapes are static and nothing is read back from the device.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from ..machine import devices, parallel

Objective = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]  # of outputs, labels: loss, accuracy


def train_step(
    network: nn.Module,
    optimizer: torch.optim.Optimizer,
    views: Tensor,
    labels: Tensor,
    objective: Objective,
    dtype: torch.dtype,
    passes: int = 1,
    chunks: int = 1,
) -> Tensor:
    """One update; returns (2,) loss and accuracy, still on the device.

    `objective` gets what the network makes of this process's `views`, and their `labels`. With 2
    `passes` each of the two views goes through the network alone: same arithmetic, but batch norm
    then normalises them apart. With several `chunks` the network holds one of them at a time, see
    `_backward_in_chunks`.
    """

    def forward(x: Tensor) -> Tensor:
        with devices.autocast(x.device, dtype):
            parts = x.contiguous(memory_format=torch.channels_last).chunk(passes)
            return network(parts[0]) if passes == 1 else torch.cat([network(x) for x in parts])

    optimizer.zero_grad(set_to_none=True)
    if chunks == 1:
        loss, accuracy = objective(forward(views), labels)
        loss.backward()
    else:
        loss, accuracy = _backward_in_chunks(network, forward, views, labels, objective, chunks)
    parallel.sum_gradients(network)
    optimizer.step()
    metrics = torch.stack([loss.detach(), accuracy])
    devices.finish_step(views.device)
    return metrics


def _backward_in_chunks(
    network: nn.Module,
    forward: Callable[[Tensor], Tensor],
    views: Tensor,
    labels: Tensor,
    objective: Objective,
    chunks: int,
) -> tuple[Tensor, Tensor]:
    """Gradients of a batch whose activations do not fit: two forward passes, chunk by chunk.

    The first finds the outputs of the whole batch and, from the objective, its gradient with
    respect to them; the second hands every chunk its rows of that gradient (GradCache, arXiv
    2101.06983). All views still meet in the loss, which adding up gradients of small batches would
    not give. Batch norm sees one chunk at a time, and its moving statistics move once a chunk. A
    chunk is every `chunks`-th row, so it has both views of its images.
    """
    moving = [buffer.clone() for buffer in network.buffers()]
    parts, outputs = [views[chunk::chunks] for chunk in range(chunks)], []
    for part in parts:
        with torch.no_grad():
            outputs.append(forward(part))
        devices.finish_step(views.device)  # or XLA would do all chunks at once
    for buffer, value in zip(network.buffers(), moving, strict=True):
        buffer.copy_(value)
    cache = torch.stack(outputs, dim=1).requires_grad_()  # (rows / chunks, chunks, dim)
    loss, accuracy = objective(cache.flatten(0, 1), labels)
    loss.backward()
    for part, gradient in zip(parts, cache.grad.unbind(1), strict=True):
        forward(part).backward(gradient)
        devices.finish_step(views.device)
    return loss, accuracy
