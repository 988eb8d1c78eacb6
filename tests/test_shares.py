"""A share of the labels: as many of each class, nested, drawn by the seed; or named by a list."""

from __future__ import annotations

import hashlib
from itertools import pairwise

import pytest
import torch

from simclr_lib.config import Config
from simclr_lib.data import Data, ImageFiles, ImageSet, shares
from simclr_lib.data.shares import labelled_indices, labelled_part, masked, per_class, share_of
from simclr_lib.views.order import epoch_order, running_indices

LABELS = torch.randint(-1, 5, (600,), generator=torch.Generator().manual_seed(0))  # -1: none
KNOWN = int((LABELS >= 0).sum())


def counts(chosen):
    return torch.bincount(LABELS[chosen], minlength=5)


@pytest.mark.parametrize("share", [0.02, 0.1, 0.29, 0.5])
def test_a_share_has_as_many_of_each_class(share):
    chosen = share_of(LABELS, share, 3)
    assert len(chosen) == len(chosen.unique()) == int(share * KNOWN)
    assert counts(chosen).max() - counts(chosen).min() <= 1
    assert (LABELS[chosen] >= 0).all()


def test_the_whole_part_of_a_share_is_not_spoilt_by_rounding():
    labels = torch.zeros(100, dtype=torch.int64)
    assert [len(share_of(labels, k / 100, 0)) for k in range(1, 101)] == list(range(1, 101))


def test_a_smaller_share_lies_within_a_larger_and_another_seed_draws_another():
    parts = [set(share_of(LABELS, share, 3).tolist()) for share in (0.01, 0.1, 0.5, 1.0)]
    assert all(small < large for small, large in pairwise(parts))
    assert parts[-1] == set((LABELS >= 0).nonzero().flatten().tolist())  # and none without a label
    assert parts[1] == set(share_of(LABELS, 0.1, 3).tolist())
    assert parts[1] != set(share_of(LABELS, 0.1, 4).tolist())


def test_the_smallest_share_has_an_image_of_every_class():
    assert counts(share_of(LABELS, 1e-6, 0)).tolist() == [1] * 5


def test_a_class_that_has_few_gives_all_it_has():
    rare = torch.cat([LABELS[LABELS != 4], torch.tensor([4, 4])])
    chosen = rare[share_of(rare, 0.5, 0)].bincount()
    assert chosen[4] == 2
    assert chosen[:4].max() - chosen[:4].min() <= 1


def test_a_number_of_each_class_or_the_name_of_the_class_that_has_fewer():
    classes = ("ant", "bee", "cat", "dog", "elk")
    assert counts(per_class(LABELS, 7, 3, classes)).tolist() == [7] * 5
    assert set(per_class(LABELS, 7, 3, classes).tolist()) < set(share_of(LABELS, 0.5, 3).tolist())
    most, rarest = (int(x) for x in counts(LABELS >= 0).min(dim=0))
    assert counts(per_class(LABELS, most, 3, classes)).tolist() == [most] * 5
    message = f"labels_per_class={most + 1} is not valid; .* {most}: of {classes[rarest]} no more"
    with pytest.raises(ValueError, match=message):
        per_class(LABELS, most + 1, 3, classes)
    with pytest.raises(ValueError, match="at most 0: of fox no more"):
        per_class(LABELS, 1, 3, (*classes, "fox"))


# By a list


@pytest.fixture
def folder(tmp_path):
    """Twelve files in two folders, and a configuration with a list of four of them."""
    paths = [tmp_path / name / f"{name}_{n}.JPEG" for name in ("n02", "n01") for n in range(6)]
    files = ImageFiles(paths, torch.arange(12) // 6)
    (tmp_path / "list.txt").write_text("n01_3.JPEG\nn02_0.JPEG\nn01_0.JPEG\nn09_1.JPEG\n")
    config = Config.create("smoke", label_list=str(tmp_path / "list.txt"))
    return Data("folder", ("n02", "n01"), files, files, files, pretrain=files), config


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_list_names_the_files(end, folder, tmp_path):
    data, config = folder
    path = tmp_path / "list.txt"
    path.write_bytes(path.read_bytes().replace(b"\n", end.encode()))
    part = labelled_part(data, config.replace(labels_per_class=1))  # the list goes before
    assert [file.name for file in part.paths] == ["n02_0.JPEG", "n01_0.JPEG", "n01_3.JPEG"]
    assert part.labels.tolist() == [0, 1, 1]


def test_a_list_that_cannot_be_used_is_refused_by_name(folder, tmp_path):
    data, config = folder
    pixels = ImageSet(torch.zeros(2, 3, 8, 8), torch.arange(2))
    with pytest.raises(ValueError, match="label_list='list.txt' .*empty: these images"):
        labelled_indices(data._replace(train=pixels), config)
    with pytest.raises(FileNotFoundError, match="label_list='.*none.txt' is not there"):
        labelled_indices(data, config.replace(label_list=str(tmp_path / "none.txt")))
    (tmp_path / "list.txt").write_text("elsewhere.JPEG\n\n")
    with pytest.raises(ValueError, match="label_list='list.txt' .*a list with names"):
        labelled_indices(data, config)


@pytest.mark.parametrize("name", ["1percent.txt", "10percent.txt"])
def test_a_list_of_an_official_name_must_be_the_official_one(name, folder, tmp_path, monkeypatch):
    data, config = folder
    path = (tmp_path / "list.txt").rename(tmp_path / name)
    config = config.replace(label_list=str(path))
    begins = shares.OFFICIAL[name]
    with pytest.raises(ValueError, match=f"label_list='{name}' .* official .*, SHA-256 {begins}"):
        labelled_indices(data, config)
    monkeypatch.setitem(shares.OFFICIAL, name, hashlib.sha256(path.read_bytes()).hexdigest()[:8])
    assert len(labelled_indices(data, config)) == 3


# All images, with some of their labels


def test_of_one_set_the_other_labels_are_hidden(folder):
    data, config = folder
    found = masked(data, config)
    assert found.paths == data.train.paths
    assert found.labels.tolist() == [0, -1, -1, -1, -1, -1, 1, -1, -1, 1, -1, -1]
    pixels = torch.arange(12)[:, None, None, None].expand(12, 3, 8, 8)
    images = ImageSet(pixels, data.train.labels)
    whole = Data("set", data.classes, images, images, images, pretrain=images)
    config = config.replace(label_list="", labels_per_class=2)
    found = masked(whole, config)
    assert found.images is images.images
    chosen = labelled_indices(whole, config)
    assert (found.labels >= 0).nonzero().flatten().tolist() == sorted(chosen.tolist())
    assert torch.equal(found.labels[chosen], images.labels[chosen])
    assert (images.labels >= 0).all()  # of the data themselves nothing is changed


@pytest.mark.parametrize("on_disk", [True, False])
def test_to_a_set_without_labels_the_labelled_ones_are_added(on_disk, folder, tmp_path):
    data, config = folder
    config = config.replace(label_list="", labels_per_class=1)
    others = ImageFiles([tmp_path / "a.JPEG", tmp_path / "b.JPEG"], torch.tensor([1, 1]))
    if not on_disk:
        train = ImageSet(torch.ones(12, 3, 8, 8), data.train.labels)
        others = ImageSet(torch.zeros(2, 3, 8, 8), others.labels)
        data = data._replace(train=train)
    found = masked(data._replace(pretrain=others), config)
    part = labelled_part(data, config)
    assert found.labels.tolist() == [-1, -1, *part.labels.tolist()]
    if on_disk:
        assert found.paths == [*others.paths, *part.paths]
    else:
        assert found.images[:, 0, 0, 0].tolist() == [0, 0, 1, 1]


# Few images, large batches


@pytest.mark.parametrize(("images", "batch"), [(10, 4), (12, 4), (5, 5), (3, 8), (3, 9), (1, 4)])
@pytest.mark.parametrize("first", [0, 2, 7])
def test_a_stream_that_runs_on_drops_nothing(images, batch, first):
    plain, epoch = [], 0
    while len(plain) < 12 * batch:
        plain += epoch_order(images, 3, epoch).tolist()
        epoch += 1
    found = list(running_indices(images, batch, 3, first, 12))
    for step, indices in enumerate(found, start=first):
        assert indices.tolist() == plain[step * batch : (step + 1) * batch]
    assert len(found) == 12 - first
