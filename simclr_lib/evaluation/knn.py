"""A vote among the nearest neighbours."""

from __future__ import annotations

import torch

from ..losses.nt_xent import l2_normalize
from .features import Features, accuracy


def knn(found: Features, k: int = 20, temperature: float = 0.07) -> float:
    """Test accuracy, percent, of a vote among the `k` training images nearest by cosine.

    Votes weigh exp(similarity / temperature), as in the literature on instance discrimination.
    """
    train = l2_normalize(found.train)
    classes = int(found.train_labels.max()) + 1
    predicted = []
    for queries in l2_normalize(found.test).split(1024):
        similarity, nearest = (queries @ train.T).topk(min(k, len(train)), dim=1)  # (n, k)
        votes = torch.zeros(len(queries), classes)
        votes.scatter_add_(1, found.train_labels[nearest], (similarity / temperature).exp())
        predicted.append(votes.argmax(dim=1))
    return accuracy(torch.cat(predicted), found.test_labels)
