"""Questions about transformations: right labels, right images, and a probe that can answer."""

from __future__ import annotations

import pytest
import torch

from simclr_lib import data, evaluation, views
from simclr_lib.config import Config
from simclr_lib.evaluation import transformation as probe
from simclr_lib.methods import build


def generator():
    return torch.Generator().manual_seed(0)


@pytest.mark.parametrize("task", probe.CHANCE)
def test_labels_say_what_was_done_and_chance_is_chance(task):
    images = torch.randint(0, 256, (4000, 3, 8, 8), dtype=torch.uint8, generator=generator())
    x, answer = probe.transform(images, task, generator())
    assert x.dtype == torch.float32
    assert 0 <= x.min() <= x.max() <= 1
    most = answer.bincount().max().item() / len(answer)
    assert 100 * most == pytest.approx(probe.CHANCE[task], abs=2.5)
    for i in range(40):
        plain = images[i].double() / 255
        if task == "rotation":
            expected = torch.rot90(plain, int(answer[i]), (1, 2))
            torch.testing.assert_close(x[i].double(), expected, atol=1e-6, rtol=0)
        elif answer[i] == 0:
            torch.testing.assert_close(x[i].double(), plain, atol=1e-6, rtol=0)
        elif task == "grayscale":
            luma = 0.299 * plain[0] + 0.587 * plain[1] + 0.114 * plain[2]
            torch.testing.assert_close(x[i].double(), luma.expand(3, 8, 8), atol=1e-3, rtol=0)
        else:
            assert (x[i].double() - plain).abs().mean() > 0.01


def test_a_question_keeps_its_parts_apart_and_is_the_same_again():
    images = data.load(Config.create("smoke"))
    first = probe.question(images, "rotation", generator())
    again = probe.question(images, "rotation", generator())
    for name in ("train", "validation", "test"):
        assert torch.equal(getattr(first, name).images, getattr(again, name).images)
        assert len(getattr(first, name)) == len(getattr(images, name))
    assert first.classes == ("0", "1", "2", "3")
    with pytest.raises(
        ValueError, match="task='blur' is not valid; it must be grayscale or rotation"
    ):
        probe.question(images, "blur", generator())


def test_pretraining_makes_z_meet_the_transformation():
    config = Config.create("smoke")
    branches = {
        task: tuple(how.transforms for how in views.branches(probe.pretraining(config, task)))
        for task in probe.CHANCE
    }
    plain = config.augmentations
    assert branches["grayscale"] == (plain, plain)
    assert branches["rotation"] == (f"{plain}+rotate", f"{plain}+rotate")
    assert branches["noise"] == (f"{plain}+noise", plain)
    assert branches["sobel"] == (f"{plain}+sobel", plain)


def test_the_probe_reads_what_is_there_and_nothing_else():
    def features(signal):
        parts, g = [], generator()
        for number in (4000, 500, 1000):
            labels = torch.randint(2, (number,), generator=g)
            x = torch.randn(number, 6, generator=g)
            x[:, 0] = torch.where(labels.bool() & signal, x[:, 0].abs() + 2, x[:, 0])
            x[:, 0] *= torch.where(torch.rand(number, generator=g) < 0.5, 1.0, -1.0)  # not linear
            parts += [x, labels]
        return evaluation.Features(*parts)

    sees = probe.predict(features(torch.tensor(True)))
    assert sees > 80
    assert evaluation.linear_probe(features(torch.tensor(True))).accuracy < 60
    assert 44 < probe.predict(features(torch.tensor(False))) < 56


def test_even_random_features_know_a_sobel_filter(tmp_path):
    config = Config.create("smoke", output_dir=str(tmp_path), base_channels=8, num_images=2048)
    config = config.replace(precision="fp32")
    asked = probe.question(data.load(config), "sobel", generator())
    method = build(config)
    encoder, head = method.encoder, method.head
    found = evaluation.features(encoder, asked, config)
    assert probe.predict(found) > 80
    assert evaluation.project(found, head).test.shape[1] == config.projection_dim
