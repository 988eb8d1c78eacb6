"""Distillation (SimCLR v2, Section 2): match the whole answer of a teacher, not its first guess."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from ..checks import number, positive, refuse


def distillation_loss(student: Tensor, teacher: Tensor, temperature: float = 1.0) -> Tensor:
    """Mean over rows of T^2 times the cross-entropy of the student's answer to the teacher's.

    An answer is softmax(logits / T); logits (N, classes) both. A scalar, in nats times T^2, as the
    official notebook has it: with the factor, gradients are of about one size from T = 1 up. No
    gradient flows to the teacher. Raises `ValueError` for other shapes and a temperature not above
    0.
    """
    return temperature**2 * _cross_entropy(student, teacher, temperature).mean()


def mixed_loss(
    student: Tensor, teacher: Tensor, labels: Tensor, temperature: float, alpha: float
) -> Tensor:
    """Equation 3: (1 - alpha) of the labels' cross-entropy, alpha of the teacher's; sums over rows.

    `labels` int64 (N,), -1 where an image has none. The labels' term has no temperature, the
    teacher's no factor T^2. Raises `ValueError` as `distillation_loss` does, and for an `alpha`
    outside 0 to 1.
    """
    number("alpha", alpha, "a number from 0 to 1", 0, 1)
    known = labels >= 0
    by_label = F.cross_entropy(student, labels.clamp_min(0), reduction="none") * known  # (N,)
    by_teacher = _cross_entropy(student, teacher, temperature)
    return (1 - alpha) * by_label.sum() + alpha * by_teacher.sum()


def _cross_entropy(student: Tensor, teacher: Tensor, temperature: float) -> Tensor:
    """(N,) of the softened answers."""
    if student.ndim != 2 or student.shape != teacher.shape:
        refuse("teacher", teacher, f"logits of shape {tuple(student.shape)}, as the student's")
    positive("temperature", temperature, "a finite number above 0")
    target = (teacher.detach() / temperature).softmax(dim=1)
    return -(target * (student / temperature).log_softmax(dim=1)).sum(dim=1)
