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
        (BF16 | {"amx_bf16"}, "AVX10_1_512", torch.float32),
        (BF16 | {"amx_bf16"}, "avx2_vnni", torch.float32),  # read as oneDNN reads it
        (BF16 | {"amx_bf16"}, "AVX512_CORE_AMX", torch.bfloat16),
        (BF16 | {"amx_bf16"}, "DEFAULT", torch.bfloat16),
        (BF16 | {"amx_bf16"}, "ABACUS", torch.bfloat16),  # of which oneDNN takes no notice
    ],
)
def test_auto_is_bf16_only_where_it_is_fast(flags, limit, expected, monkeypatch):
    text = f"processor: 0\nflags : fpu {' '.join(flags)}\n"
    monkeypatch.setattr(devices.Path, "read_text", lambda path: text)
    monkeypatch.delenv("DNNL_MAX_CPU_ISA", raising=False)
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", limit)  # empty: as if it were not set
    assert devices.number_format(CPU) == expected
    assert devices.number_format(CPU, "bf16") == torch.bfloat16
    assert devices.number_format(CPU, "fp32") == torch.float32
    said = devices.describe(CPU)
    assert ("amx_bf16" in said) == (expected == torch.bfloat16)
    assert said.endswith(f"(oneDNN limited to {limit.upper()})") == limit.upper().startswith("AVX")


@pytest.mark.parametrize(
    ("limit", "expected"),
    [
        ("SSE41", "x86_64"),
        ("AVX2_VNNI_2", "x86_64 avx2"),
        ("AVX512_CORE_VNNI", "x86_64 avx2 avx512f"),
        ("AVX512_CORE_FP16", "x86_64 avx2 avx512f avx512_bf16"),
    ],
)
def test_what_a_limit_forbids_is_not_said_to_be_there(limit, expected, monkeypatch):
    text = f"flags : {' '.join(BF16 | {'amx_bf16'})}"
    monkeypatch.setattr(devices.Path, "read_text", lambda path: text)
    monkeypatch.setattr(devices.platform, "machine", lambda: "x86_64")
    for name in ("ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA"):  # the second is oneDNN's old name
        monkeypatch.setenv(name, limit)
        assert devices.describe(CPU).endswith(f" cores, {expected} (oneDNN limited to {limit})")
        monkeypatch.delenv(name)


def test_a_seed_makes_the_same_network_with_every_version_of_pytorch():
    """Recorded with 2.9.0 through `trunc_normal_`, and found again with 2.13.0 and 2.14.1.

    To two decimals of a deviation: with AVX2 at most, the inverse error function rounds otherwise.
    """
    generator = torch.Generator().manual_seed(0)
    encoder = ResNet(50, 0.25, sk_ratio=0.0625, base_channels=16, generator=generator)
    head = ProjectionHead(encoder.features, 3, 16, generator=generator)
    found = hashlib.sha256()
    for weight in [*encoder.parameters(), *head.parameters()]:
        if weight.ndim > 1:
            first = weight.detach().double().flatten()[:50] / weight.double().std()
            found.update((100 * first).round().int().numpy().tobytes())
    expected = "a188fcb1894d11c1d9448df623fdc5ec14c862c9f968225dfb64b4ff7beb717b"
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
    quiet = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, env=quiet)
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
    program = """if True:
        from simclr_lib.machine import devices
        for attempt in range(2):  # what the first has imported does not answer for the user
            try:
                print(devices.choose("xla"))
            except ValueError as error:
                print(error)
    """
    without = {name: value for name, value in os.environ.items() if name != "PJRT_DEVICE"}
    library = {"TPU_LIBRARY_PATH": "/usr/lib/libtpu.so"}  # but no TPU
    for more, said in (
        ({}, "finds no TPU"),
        (library, "finds no TPU"),
        ({"PJRT_DEVICE": "CPU"}, "xla:0"),
    ):
        done = subprocess.run(
            [sys.executable, "-c", program], capture_output=True, text=True, env=without | more
        )
        assert done.returncode == 0, done.stderr
        assert [said in line for line in done.stdout.splitlines()] == [True, True]
