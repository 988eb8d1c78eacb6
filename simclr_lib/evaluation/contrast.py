"""The game of the loss, played on new views of images: is the other view found? (Table 5)"""

from __future__ import annotations

import torch
from torch import nn

from ..config import Config
from ..data.images import ImageFiles, ImageSet
from ..losses.nt_xent import ContrastiveMetrics, contrastive_metrics
from ..machine import devices
from ..views import branches
from ..views.batches import batches


@torch.no_grad()
def contrastive(
    encoder: nn.Module, head: nn.Module, images: ImageSet | ImageFiles, config: Config
) -> ContrastiveMetrics:
    """Contrastive accuracy and entropy on new views of `images`, in whole batches, as Table 5.

    The network is used as at test time, on some views at a time; the draws depend on `config.seed`
    alone.
    """
    device = devices.choose(config.device)
    dtype = devices.number_format(device, config.precision)
    was_training = [encoder.training, head.training]
    encoder.to(device).eval()
    head.to(device).eval()
    see = getattr(encoder, "encode", encoder)  # of a method, or the encoder itself
    size = min(config.batch_size, len(images))
    found = []
    whole = config.replace(batch_size=size, chunk_size=0, copies=1)
    stream = batches(images, branches(whole), whole, device, 0, len(images) // size, own=False)
    for batch in stream:
        parts = torch.cat(batch.views).contiguous(memory_format=torch.channels_last).split(512)
        with devices.autocast(device, dtype):
            z = torch.cat([head(see(part)) for part in parts])
        found.append(torch.stack(contrastive_metrics(z, config.temperature, config.l2_normalize)))
    encoder.train(was_training[0])
    head.train(was_training[1])
    return ContrastiveMetrics(*torch.stack(found).mean(dim=0).cpu())
