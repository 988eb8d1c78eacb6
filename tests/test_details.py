"""What `without` switches off is off, and nothing else is; and the protocol of Figure 5."""

from __future__ import annotations

import pytest
import torch

from simclr_lib import data
from simclr_lib.config import DETAILS, Config
from simclr_lib.methods import build
from simclr_lib.networks.layers import BatchNorm
from simclr_lib.networks.resnet import Block
from simclr_lib.train import loop as trainer
from simclr_lib.train.optimizers import LARS
from simclr_lib.views import Batch, branches, two_views
from simclr_lib.views import batches as streams
from simclr_lib.views.operations import crop_and_resize, resize_one


@pytest.fixture
def smoke(tmp_path):
    return Config.create("smoke", output_dir=str(tmp_path), precision="fp32", epochs=1)


def generator():
    return torch.Generator().manual_seed(0)


def parts(config):
    method = build(config)
    return method.encoder, method.head


def last_gammas(encoder):
    return torch.cat([b.branch[-1].gamma for b in encoder.modules() if isinstance(b, Block)])


def test_every_detail_is_on_unless_named(smoke):
    assert all(smoke.has(detail) for detail in DETAILS)
    bare = smoke.replace(without="zero_gamma+bicubic")
    assert [d for d in DETAILS if not bare.has(d)] == ["zero_gamma", "bicubic"]
    with pytest.raises(ValueError, match="without='zero_gama' is not valid"):
        smoke.replace(without="zero_gama")


def test_zero_gamma_and_batch_norm_of_the_head(smoke):
    encoder, head = parts(smoke)
    assert (last_gammas(encoder) == 0).all()
    assert sum(isinstance(m, BatchNorm) for m in head.modules()) == 2
    other, bare = parts(smoke.replace(without="zero_gamma+head_batch_norm"))
    assert (last_gammas(other) == 1).all()
    assert not [m for m in bare.modules() if isinstance(m, BatchNorm)]
    assert all(layer[0].bias is not None for layer in bare.layers)
    assert torch.equal(encoder.stem[0].weight, other.stem[0].weight)  # else the same network


def test_bilinear_crops_are_those_of_pytorch():
    images = torch.rand(3, 3, 20, 20, generator=generator())
    box = torch.tensor([2, 3, 12, 10])
    ours = crop_and_resize(images, box, (16, 16), cubic=False)
    cut = images[:, :, 2:14, 3:13]
    theirs = torch.nn.functional.interpolate(cut, (16, 16), mode="bilinear", align_corners=False)
    torch.testing.assert_close(ours, theirs, atol=2e-3, rtol=0)  # fractions are of 1/1024
    one = resize_one(cut[:1], (16, 16), cubic=False)
    torch.testing.assert_close(one, ours[:1], atol=1e-6, rtol=0)
    assert (ours - crop_and_resize(images, box, (16, 16))).abs().max() > 0.02


def test_bicubic_off_reaches_the_views(smoke):
    images = data.load(smoke).pretrain.images[:4]
    crops = smoke.replace(augmentations="crop")
    plain, cubic = (
        two_views(images, c, generator()) for c in (crops.replace(without="bicubic"), crops)
    )
    assert 0.001 < (plain - cubic).abs().mean() < 0.05  # the same crops, resized otherwise


def test_two_passes_normalise_the_views_apart(smoke):
    images = data.load(smoke).pretrain.images[:16]
    x = two_views(images, smoke, generator())
    x[16:] *= 0.5  # so that the views differ in their statistics
    after = {}
    for passes, without in ((1, ""), (2, "joint_views")):
        config = smoke.replace(without=without)
        batch = Batch(x.chunk(2), torch.zeros(16), torch.arange(16))
        z = after[passes] = torch.cat(build(config).train()(batch)).detach()
        expected = torch.nn.Sequential(*parts(smoke)).train()
        torch.testing.assert_close(
            z, torch.cat([expected(part) for part in x.chunk(passes)]), atol=1e-4, rtol=1e-4
        )
    assert (after[1] - after[2]).abs().max() > 0.1


def test_without_exclusions_lars_decays_and_adapts_everything(smoke, monkeypatch):
    groups = {}

    class Spy(LARS):
        def __init__(self, *args, **kwargs):
            super().__init__(*args, **kwargs)
            groups[len(groups)] = [(g["decay"], g["adapt"]) for g in self.param_groups]

    monkeypatch.setattr(trainer, "LARS", Spy)
    images = data.load(smoke)
    trainer.train(smoke, images)
    trainer.train(smoke.replace(without="lars_exclusions"), images)
    assert set(groups[0]) == {(True, True), (False, False)}
    assert set(groups[1]) == {(True, True)}


def test_every_switch_trains(smoke):
    images = data.load(smoke)
    losses = {}
    for detail in ("", *DETAILS):
        run = trainer.train(smoke.replace(without=detail), images)
        losses[detail] = run.history["loss"]
    assert all(losses[detail] != losses[""] for detail in DETAILS)


def test_figure_5_crops_once_and_leaves_the_other_branch_alone(smoke):
    images = data.load(smoke).pretrain.images[:6]
    alone = smoke.replace(augmentations="identity", second_view="identity", shared_crop=True)
    one, two = two_views(images, alone, generator()).chunk(2)
    assert torch.equal(one, two)
    assert (one - images / 255).abs().mean() > 0.05  # it is a crop
    color = alone.replace(augmentations="color", color_strength=1.0)
    changed, same = two_views(images, color, generator()).chunk(2)
    assert torch.equal(same, two)
    assert (changed - same).abs().mean() > 0.05


def test_figure_5_from_files_is_cropped_by_the_workers(smoke, tmp_path):
    from PIL import Image

    for split in ("train", "val"):
        for name in ("a", "b"):
            (tmp_path / "set" / split / name).mkdir(parents=True)
            for i in range(8):
                pixels = torch.randint(0, 256, (120, 130, 3), dtype=torch.uint8).numpy()
                image = Image.fromarray(pixels).resize((130, 120))
                image.save(tmp_path / "set" / split / name / f"{i}.png")
    config = smoke.replace(
        dataset=str(tmp_path / "set"), num_images=0, batch_size=4, workers=0, image_size=112,
        augmentations="grayscale", second_view="identity", shared_crop=True,
    )  # fmt: skip
    files = data.load(config).pretrain
    assert isinstance(files, data.ImageFiles)
    stream = streams.batches(files, branches(config), config, torch.device("cpu"), 0, 1)
    first, second = next(iter(stream)).views
    assert first.shape == (4, 3, 112, 112)
    luma = (second * torch.tensor([0.299, 0.587, 0.114]).view(1, 3, 1, 1)).sum(1, keepdim=True)
    for a, b, grey in zip(first, second, luma, strict=True):  # grey or not, but the same crop
        near = min((a - b).abs().max(), (a - grey).abs().max())
        assert near < 1e-3
