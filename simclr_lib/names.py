"""The names that parameters may have: methods, data sets, transformations, losses, details."""

from __future__ import annotations

# How a network is trained, as printed in papers, and the class that does it, in `methods`.
METHODS = {
    "random": "untrained.Untrained",
    "SimCLR": "simclr.SimCLR",
    "supervised": "supervised.Supervised",
    "rotation": "rotation.Rotation",
    "MoCo v2": "moco_v2.MoCoV2",
    "BYOL": "byol.BYOL",
    "fine-tune": "finetune.FineTune",
    "distill": "distill.Distill",
}
# Those that begin with other runs: with the network of one, or with a teacher.
LATER = ("fine-tune", "distill")
TRAINED = tuple(name for name in METHODS if name not in ("random", "fine-tune"))
SEEN = (*TRAINED, "fine-tune")  # these are shown images that are drawn anew each time
PAIRS = ("SimCLR", "MoCo v2", "BYOL")  # these compare two views of an image

DATASETS = ("synthetic", "cifar10", "cifar100", "stl10", "fashion_mnist", "imagenet")
TRANSFORMS = (
    *("crop", "flip", "color", "jitter", "grayscale", "blur"),  # appendix A
    *("cutout", "sobel", "noise", "rotate"),  # Figure 5
    *("equalize", "solarize", "motion_blur"),  # appendix B.2
    "identity",  # nothing at all: the other branch of Figure 5
)
LOSSES = (
    *("nt_xent", "nt_logistic", "nt_logistic_semi_hard"),
    *("margin_triplet", "margin_triplet_semi_hard"),
)
# The official code adds the means over the two halves of the views.
SUMS = ("paper", "official")
TASKS = ("grayscale", "rotation", "noise", "sobel")  # what Table 3 asks h and z about
PROBES = ("L-BFGS", "SGD")
BY_SGD = {"probe": ("SGD",)}
# What `without` can switch off (notebook 08): batch norm's exclusion from decay and adaptation in
# LARS; batch norm in the head; scale zero at the end of a residual block; bicubic instead of
# bilinear crops; both views in one forward pass, so that they share batch-norm statistics.
DETAILS = ("lars_exclusions", "head_batch_norm", "zero_gamma", "bicubic", "joint_views")
