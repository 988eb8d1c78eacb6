"""This machine: number formats by instruction set, networks by seed, XLA only where asked for."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys

import pytest
import torch
from PIL import Image

from simclr_lib.machine import devices
from simclr_lib.networks.heads import ProjectionHead
from simclr_lib.networks.layers import conv
from simclr_lib.networks.resnet import ResNet

CPU = torch.device("cpu")
OLD, BF16 = {"avx2", "avx512f"}, {"avx2", "avx512f", "avx512_bf16"}


@pytest.mark.parametrize(
    ("flags", "limit", "expected"),
    [
        (OLD, "", torch.float32),
        (BF16, "", torch.float32),  # slower than float32
        (BF16 | {"amx_bf16"}, "", torch.bfloat16),
        (BF16 | {"amx_bf16"}, "AVX2", torch.float32),  # what is there, but may not be used
        (BF16 | {"amx_bf16"}, "AVX512_CORE_BF16", torch.float32),
        (BF16 | {"amx_bf16"}, "AVX512_CORE_AMX", torch.bfloat16),
        (BF16 | {"amx_bf16"}, "DEFAULT", torch.bfloat16),
    ],
)
def test_auto_is_bf16_only_where_it_is_fast(flags, limit, expected, monkeypatch):
    text = f"processor: 0\nflags : fpu {' '.join(flags)}\n"
    monkeypatch.setattr(devices.Path, "read_text", lambda path: text)
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", limit) if limit else monkeypatch.delenv(
        "ONEDNN_MAX_CPU_ISA", raising=False
    )
    assert devices.number_format(CPU) == expected
    assert devices.number_format(CPU, "bf16") == torch.bfloat16
    assert devices.number_format(CPU, "fp32") == torch.float32
    assert ("amx_bf16" in devices.describe(CPU)) == (expected == torch.bfloat16)


def test_a_seed_makes_the_same_network_with_every_version_of_pytorch():
    """Recorded with 2.9.0 through `trunc_normal_`, and found again with 2.13.0 and 2.14.1."""
    generator = torch.Generator().manual_seed(0)
    encoder = ResNet(50, 0.25, sk_ratio=0.0625, base_channels=16, generator=generator)
    head = ProjectionHead(encoder.features, 3, 16, generator=generator)
    tensors, found = [*encoder.state_dict().values(), *head.state_dict().values()], hashlib.sha256()
    for tensor in tensors:
        found.update(tensor.numpy().tobytes())
    weights = sum(tensor.double().square().sum().item() for tensor in tensors)
    assert weights == pytest.approx(7313.733074016834, rel=1e-6)
    if "avx2" in devices.describe(CPU):  # elsewhere the inverse error function may round otherwise
        expected = "2f7d5cbe41cd086f7ec5fa5d707e2d17e4b1ac8d7403c2655b257dc982f3ccd3"
        assert found.hexdigest() == expected


@pytest.mark.parametrize("channels", [4, 8])
def test_large_pictures_are_trained_on_to_the_end(channels, tmp_path):
    """A whole run in a process of its own, which writing beyond memory would end."""
    pixels = torch.Generator().manual_seed(0)
    for place in (tmp_path / "set" / part / label for part in ("train", "val") for label in "ab"):
        place.mkdir(parents=True)
        for number in range(12):
            image = torch.randint(0, 256, (120, 130, 3), dtype=torch.uint8, generator=pixels)
            Image.fromarray(image.numpy()).save(place / f"{number}.png")
    given = {"preset": "smoke", "dataset": tmp_path / "set", "image_size": 112, "precision": "fp32"}
    given |= {"base_channels": channels, "batch_size": 16, "num_images": 0, "workers": 0}
    given |= {"device": "cpu", "output_dir": tmp_path / "runs", "data_dir": tmp_path / "data"}
    words = [word for name, value in given.items() for word in ("-p", name, str(value))]
    command = [sys.executable, "-m", "simclr_lib", *words]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, (done.returncode, done.stderr)
    assert '"linear"' in done.stdout


def test_a_shortcut_that_leaves_pixels_out_first_is_the_strided_one():
    """In float64, where the strided convolution is sound; at odd sizes too."""
    generator = torch.Generator().manual_seed(0)
    for size in (7, 8):
        layer = conv(8, 16, 1, 2, generator=generator).double()
        x = torch.randn(3, 8, size, size, generator=generator, dtype=torch.float64)
        expected = torch.nn.functional.conv2d(x, layer.weight, None, 2)
        torch.testing.assert_close(layer(x), expected)


def test_xla_without_a_tpu_is_refused_unless_the_cpu_is_asked_for():
    pytest.importorskip("torch_xla")
    program = "from simclr_lib.machine import devices; print(devices.choose('xla'))"
    without = {name: value for name, value in os.environ.items() if name != "PJRT_DEVICE"}
    for environment, words in ((without, "no libtpu"), (without | {"PJRT_DEVICE": "CPU"}, "xla:0")):
        done = subprocess.run(
            [sys.executable, "-c", program], capture_output=True, text=True, env=environment
        )
        assert words in (done.stdout + done.stderr)
        assert (done.returncode == 0) == (words == "xla:0")
