"""What a recipe and a preset set: layers that `Config.create` lays over the defaults."""

from __future__ import annotations

from typing import Any

# Where the two eras of the official code differ (v1: the paper of ICML 2020, v2: NeurIPS 2020).
RECIPES: dict[str, dict[str, Any]] = {
    "v1": {"head_layers": 2, "brightness": "additive", "weight_decay": 1e-6},
    "v2": {
        "head_layers": 3,
        "brightness": "multiplicative",
        "weight_decay": 1e-4,
        "learning_rate_scaling": "sqrt",
        "base_learning_rate": 0.075,
        "finetune_from": 1,
        "finetune_optimizer": "LARS",
        "finetune_batch_size": 1024,
        "finetune_learning_rate": 0.005,
        "finetune_scaling": "sqrt",
    },
}

# For 32 pixels appendix B.9 has no blur, and colour of strength 0.5.
_SMALL = {"image_size": 32, "augmentations": "crop+flip+color", "color_strength": 0.5, "depth": 18}
_SMALL |= {"probe_batch_size": 256}
_SHORT = {"stem": "tiny", "learning_rate_scaling": "sqrt", "temperature": 0.2, "batch_size": 64}
_EMBEDDED = _SMALL | _SHORT | {"dataset": "synthetic", "base_learning_rate": 0.6}
# A target network follows in about 1 / (1 - ema_momentum) updates: far fewer than the run has.
PRESETS: dict[str, dict[str, Any]] = {
    "smoke": _EMBEDDED
    | {"num_images": 256, "base_channels": 4, "epochs": 2}
    | {"warmup_epochs": 0.5, "probe_epochs": 2, "ema_momentum": 0.5, "queue_size": 128}
    | {"finetune_epochs": 2, "finetune_batch_size": 32},
    # Calm dice (benchmarks/LOG.md): with small batches, large crops and awake branches a run leaves
    # chance early, and none of eight seeds of the default stays there.
    "quick": _EMBEDDED
    | {"num_images": 8192, "base_channels": 8, "epochs": 3, "batch_size": 32}
    | {"base_learning_rate": 0.4, "crop_area_min": 0.35, "without": "zero_gamma"}
    | {"warmup_epochs": 1.0, "probe_epochs": 20, "ema_momentum": 0.5, "queue_size": 1024}
    | {"finetune_batch_size": 32},
    "laptop": _SMALL
    | _SHORT
    | {"dataset": "cifar10", "base_channels": 16, "batch_size": 128, "epochs": 6}
    | {"base_learning_rate": 0.3, "warmup_epochs": 1.0, "probe_epochs": 30}
    | {"ema_momentum": 0.9, "queue_size": 4096, "finetune_batch_size": 128},
    # Appendix B.9, with the ResNet-18 of the official README (the paper's own is depth 50).
    "gpu": _SMALL
    | {"dataset": "cifar10", "stem": "cifar", "batch_size": 512, "epochs": 1000}
    | {"temperature": 0.5, "probe_epochs": 100}
    | {"base_learning_rate": 1.0, "learning_rate_scaling": "linear"}
    | {"ema_momentum": 0.99, "queue_size": 4096}  # of MoCo's own CIFAR-10 demonstration
    | {"finetune_batch_size": 256},
    # Section 2 and appendix A: what the defaults of `Config` are; the probe of appendix B.6.
    "paper": {"probe": "SGD"},
}
