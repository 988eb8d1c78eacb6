"""Data: the embedded set, folders with their accidents, and parts that never mix."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from simclr_lib import data, evaluation
from simclr_lib.config import Config
from simclr_lib.data import folders, images, synthetic
from simclr_lib.train import train
from simclr_lib.views import branches
from simclr_lib.views.batches import batches, center_batches


def write_image(path, size=(32, 32), color=0, mode="RGB"):
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng([*path.as_posix().encode()])
    pixels = noise.integers(color, color + 30, (size[1], size[0], 3), np.uint8)
    Image.fromarray(pixels).convert(mode).save(path)


@pytest.fixture
def folder(tmp_path):
    """Two classes of 20 training and 5 test images, of several kinds of file."""
    for split, number in (("train", 20), ("test", 5)):
        for label, name in enumerate(("ant", "bee")):
            for i in range(number):
                kind = (".jpg", ".png", ".JPEG")[i % 3]
                mode = "L" if i % 4 == 0 else "RGB"
                write_image(
                    tmp_path / "set" / split / name / f"{i}{kind}", color=100 * label + i, mode=mode
                )
    return tmp_path / "set"


def config_for(folder, **more):
    root = folder.parent
    more = {"batch_size": 4, "num_images": 0, "output_dir": str(root), "workers": 0} | more
    return Config.create("smoke", dataset=str(folder), data_dir=str(root / "data"), **more)


def test_synthetic_is_deterministic_balanced_and_labelled():
    images, labels = synthetic.generate(1000, 3)
    again, _ = synthetic.generate(1000, 3)
    other, _ = synthetic.generate(1000, 4)
    assert images.shape == (1000, 3, 32, 32)
    assert images.dtype == torch.uint8
    assert torch.equal(images, again)
    assert not torch.equal(images, other)
    assert len(synthetic.CLASS_NAMES) >= 8
    assert (labels.bincount() == 1000 // len(synthetic.CLASS_NAMES)).all()


def test_colour_of_synthetic_images_says_nothing_about_the_class():
    """A linear classifier on mean colours stays near chance; on pixels' classes it could not."""
    parts = [synthetic.generate(n, s) for n, s in ((2000, 0), (500, 1), (1000, 2))]
    flat = [x for images, labels in parts for x in (images.float().mean(dim=(2, 3)), labels)]
    assert evaluation.linear_probe(evaluation.Features(*flat)).accuracy < 18


@pytest.mark.parametrize("change", [{"num_images": 0}, {"seed": -1}, {"image_size": 4}])
def test_synthetic_errors_name_the_value(change):
    name, value = next(iter(change.items()))
    with pytest.raises(ValueError, match=f"{name}.*{value}"):
        synthetic.generate(**({"num_images": 10, "seed": 0} | change))


def test_parts_do_not_share_images(folder):
    for found in (data.load(Config.create("smoke")), data.load(config_for(folder))):
        flat = [part.images.flatten(1) for part in (found.train, found.validation, found.test)]
        sizes = sum(len(part) for part in flat)
        assert len(torch.cat(flat).unique(dim=0)) == sizes
    assert [len(p) for p in (found.train, found.validation, found.test)] == [37, 3, 10]


def test_folder_is_read_with_labels_and_again_from_the_cache(folder, monkeypatch):
    first = data.load(config_for(folder))
    assert first.classes == ("ant", "bee")
    assert first.test.labels.tolist() == [0] * 5 + [1] * 5
    assert first.test.images.shape == (10, 3, 32, 32)
    assert first.test.images[5:, :, -1].float().mean() > first.test.images[:5, :, -1].float().mean()
    monkeypatch.setattr(folders, "decode", lambda *_: pytest.fail("decoded again"))
    second = data.load(config_for(folder))
    assert torch.equal(first.train.images, second.train.images)


def test_a_changed_folder_is_read_again(folder):
    data.load(config_for(folder))
    write_image(folder / "test" / "ant" / "new.png")
    assert len(data.load(config_for(folder)).test) == 11


@pytest.mark.parametrize("damage", [b"nonsense", b"", "half"])
def test_a_damaged_cache_is_made_anew(folder, damage):
    data.load(config_for(folder))
    for cache in (folder.parent / "data" / "cache").iterdir():
        whole = cache.read_bytes()
        cache.write_bytes(whole[: len(whole) // 2] if damage == "half" else damage)
    assert len(data.load(config_for(folder)).test) == 10


def test_bad_files_are_named_skipped_and_too_many_are_an_error(folder):
    (folder / "train" / "ant" / "broken.jpg").write_bytes(b"not an image")
    with pytest.warns(UserWarning, match=r"1 of 41 image files cannot be read: ant/broken.jpg"):
        found = data.load(config_for(folder))
    assert len(found.train) + len(found.validation) == 40
    (folder / "train" / "bee" / "empty.png").write_bytes(b"")
    with pytest.raises(ValueError, match=r"2 of 42 .*ant/broken.jpg, bee/empty.png"):
        data.load(config_for(folder))


def test_links_to_nowhere_are_bad_files_like_others(folder):
    (folder / "train" / "ant" / "lost.png").symlink_to(folder / "nowhere.png")
    with pytest.warns(UserWarning, match=r"1 of 41 image files cannot be read: ant/lost.png"):
        found = data.load(config_for(folder))
    assert len(found.train) + len(found.validation) == 40


def test_a_folder_of_nothing_but_bad_files_is_an_error(folder):
    for path in (folder / "test").rglob("*.*"):
        path.unlink()
    (folder / "test" / "bee" / "only.png").write_bytes(b"")
    with pytest.raises(ValueError, match=r"1 of 1 image files cannot be read: bee/only.png"):
        data.load(config_for(folder))


@pytest.mark.parametrize("error", images.DAMAGED)
def test_whatever_pillow_raises_the_file_is_named(tmp_path, monkeypatch, error):
    def fail(path):
        raise error("broken")

    monkeypatch.setattr(images.Image, "open", fail)
    with pytest.raises(ValueError, match=r"a.png is not an image that can be read: broken"):
        data.ImageFiles([tmp_path / "a.png"], torch.tensor([0])).decode(0)


def test_wrong_arguments_are_named(tmp_path):
    with pytest.raises(ValueError, match="config='cifar10' is not valid; it must be a Config"):
        data.load("cifar10")
    for labels in ([0], torch.tensor(0), torch.zeros(2)):
        with pytest.raises(ValueError, match=r"labels=.* is not valid.*\(1,\), one a path"):
            data.ImageFiles([tmp_path / "a.png"], labels)


def test_a_folder_without_split_keeps_a_tenth_for_testing(folder):
    found = data.load(config_for(folder / "train"))
    assert (len(found.train), len(found.validation), len(found.test)) == (33, 2, 5)


def test_wrong_folders_are_explained(tmp_path, folder):
    with pytest.raises(FileNotFoundError, match=r"no folder .*imagenet.*train/CLASS"):
        data.load(Config.create("paper", data_dir=str(tmp_path / "nothing")))
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileNotFoundError, match="0 class folders"):
        data.load(config_for(tmp_path / "empty"))
    with pytest.raises(ValueError, match=r"batch_size=64 is not valid: set has 37"):
        data.load(config_for(folder, batch_size=64))
    with pytest.raises(ValueError, match=r"num_images=50 is not valid: set has 37"):
        data.load(config_for(folder, num_images=50))


@pytest.fixture
def large(tmp_path):
    """Two classes of 12 photographs-sized images of different shapes, one of them damaged."""
    for label, name in enumerate(("ant", "bee")):
        for i in range(12):
            write_image(
                tmp_path / "large" / name / f"{i}.jpg", (150 + 7 * i, 140), color=100 * label
            )
    (tmp_path / "large" / "ant" / "3.jpg").write_bytes(b"damaged")
    return tmp_path / "large"


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.filterwarnings("ignore:.*image files cannot be read")
def test_large_images_are_decoded_on_the_way(large, workers):
    config = config_for(large, image_size=112, workers=workers, stem="imagenet", epochs=1)
    found = data.load(config)
    assert isinstance(found.train, data.ImageFiles)
    cpu = torch.device("cpu")
    stream = list(batches(found.train, branches(config), config, cpu, 0, 4))
    again = list(batches(found.train, branches(config), config, cpu, 2, 4))
    assert [x.shape for x in stream[0].views] == [(4, 3, 112, 112)] * 2
    assert torch.equal(stream[2].views[0], again[0].views[0])  # resumed at update 2
    assert torch.equal(stream[3].labels, again[1].labels)
    paths = found.train.paths + found.test.paths
    everything = data.ImageFiles(paths, torch.arange(len(paths)))
    seen = list(center_batches(everything, config, torch.device("cpu"), batch_size=8))
    assert all(x.shape[1:] == (3, 112, 112) for x, _, _ in seen)
    labels = torch.cat([y[read] for _, y, read in seen]).tolist()
    bad = [
        i for i, p in enumerate(everything.paths) if p.name == "3.jpg" and p.parent.name == "ant"
    ]
    assert labels == [i for i in range(len(everything)) if i not in bad]
    run = train(config, found)
    h, labels = evaluation.encode(run.encoder, found.train, config)
    unreadable = sum(p in found.train.paths for p in (everything.paths[i] for i in bad))
    assert len(h) == len(labels) == len(found.train) - unreadable


def test_grayscale_downloads_become_colour_images_of_32_pixels(tmp_path, monkeypatch, capsys):
    import torchvision

    class Fake:
        url = "https://example.org/set.tar.gz"

        def __init__(self, root, train, download):
            self.classes = ["a", "b"]  # on the instance, as torchvision's CIFAR has it
            self.data = torch.full((40, 28, 28), 7, dtype=torch.uint8)
            self.targets = torch.arange(40) % 2

    monkeypatch.setattr(torchvision.datasets, "FashionMNIST", Fake)
    config = Config.create("smoke", dataset="fashion_mnist", num_images=0, batch_size=8)
    found = data.load(config)
    assert found.train.images.shape == (36, 3, 32, 32)
    assert found.classes == ("a", "b")
    assert found.train.images[0, :, 0, 0].tolist() == [0, 0, 0]
    assert found.train.images[0, :, 16, 16].tolist() == [7, 7, 7]
    assert "fashion_mnist" in capsys.readouterr().out


def test_a_mirror_replaces_the_address_and_keeps_the_checksum(tmp_path, monkeypatch):
    import torchvision

    asked = []

    def refuse(url, root, filename=None, md5=None):
        asked.append((url, md5))
        raise ConnectionError("offline")

    monkeypatch.setattr(torchvision.datasets.cifar, "download_and_extract_archive", refuse)
    config = Config.create(
        "smoke", dataset="cifar10", mirror="https://mirror.test/x", data_dir=str(tmp_path)
    )
    with pytest.raises(
        ConnectionError, match="'cifar10' cannot be downloaded to .*offline; `mirror`"
    ):
        data.load(config)
    md5 = torchvision.datasets.CIFAR10.tgz_md5
    assert asked == [("https://mirror.test/x/cifar-10-python.tar.gz", md5)]
