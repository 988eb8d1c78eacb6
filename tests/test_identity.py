"""A run is what it read: parameters that count, data by content, precision; and nothing else."""

from __future__ import annotations

import dataclasses
import json
import os
import pickle
import shutil
import unicodedata
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from simclr_lib import data, evaluation, identity, runs
from simclr_lib.config import LOSSES, METHODS, Config
from simclr_lib.data import ImageSet, synthetic
from simclr_lib.data.catalog import CERTAIN, fingerprint
from simclr_lib.evaluation.classified import classified
from simclr_lib.identity import name_of, read, run_id
from simclr_lib.machine.progress import unheard
from simclr_lib.methods import build
from simclr_lib.names import LATER
from simclr_lib.parameters import parameter
from simclr_lib.runs import records
from simclr_lib.train import NotFiniteError, train

FREE = {
    "device",
    "processes",
    "precision",
    "workers",
    "threads",
    "checkpoint_minutes",
    "output_dir",
}
FREE |= {"dataset", "data_dir", "mirror", "method", "preset", "recipe"}
# Looked at for a branch that has no colour.
HARMLESS = {("random", "brightness"), ("random", "color_strength")}
RECORDS = [*(Path(__file__).parent.parent / "reproductions" / "records").glob("*.json")]
NAMES = {field.name for field in dataclasses.fields(Config)}


class Watched(Config):
    """Notes which parameters are looked at, but for those that a copy was given for a purpose."""

    seen: set[str] | None = None  # None: nobody watches
    given = frozenset()

    def __getattribute__(self, name):
        look = super().__getattribute__
        if name in NAMES and Watched.seen is not None and name not in look("given"):
            Watched.seen.add(name)
        return look(name)

    def replace(self, **change):
        kept, Watched.seen = Watched.seen, None
        copy = super().replace(**change)
        object.__setattr__(copy, "given", self.given | set(change))
        Watched.seen = kept
        return copy

    def as_record(self):
        return {}


def untrained_needs(method, config, images):
    """What it begins with, as it is made."""
    needs = method.needs(config).items()
    return {name: build(need, len(images.classes)) for name, need in needs}


# Runs that begin with others: with SimCLR, with none, with a student of this kind.
BEGUN = {"start": "SimCLR"}, {"start": "random", "finetune_from": 1, "label_share": 0.5}
BEGUN += ({"start": "random", "student_start": "random", "distill_alpha": 0.5},)
WATCHED = [(m, more) for m in METHODS for more in (BEGUN if m in LATER else ({},))]


@pytest.mark.parametrize("probe", ["L-BFGS", "SGD"])
@pytest.mark.parametrize(("method", "more"), WATCHED)
def test_whatever_a_run_reads_is_declared(method, more, probe, tmp_path, monkeypatch):
    """Trained and judged with a config that notes what is looked at."""
    config = Config.create(
        "smoke", num_images=64, epochs=1, batch_size=32, warmup_epochs=0.0, device="cpu",
        output_dir=str(tmp_path), method=method, probe=probe, probe_batch_size=32, **more
    )  # fmt: skip
    images, config = data.load(config), Watched(**dataclasses.asdict(config))
    monkeypatch.setattr("simclr_lib.train.files.identity", lambda *_: FIXED)
    monkeypatch.setattr("simclr_lib.train.files.needed", untrained_needs)
    monkeypatch.setattr(Watched, "seen", set())
    method_made = build(config, len(images.classes))
    if method_made.trained:
        method_made = train(config, images, report=unheard).method
    if method_made.classifies:
        classified(method_made, images, config)
    else:
        evaluation.evaluate(method_made, images, config, getattr(method_made, "head", None))
    seen, Watched.seen = Watched.seen, None
    values = {"probe": probe, "loss": LOSSES[-1], "student_start": "SimCLR"} | more
    declared = read({name: f"another {name}" for name in NAMES} | values, method)
    undeclared = seen - declared.keys() - FREE - values.keys()
    assert {(method, name) for name in undeclared} <= HARMLESS


LABELS = [4, 0, 2, 3, 4, 0, 7, 1, 1, 9, 2, 2, 4, 3, 1, 4]
MEANS = [63.68, 130.21, 86.06, 122.95, 117.93, 83.0, 100.96, 157.43]
PIXELS = [
    50, 43, 43, 131, 152, 168, 149, 160, 191, 66, 74, 94,
    124, 102, 142, 203, 217, 237, 94, 155, 117, 105, 49, 50,
]  # fmt: skip

FIXED = {"method": "watched", "data": "", "precision": "float32"}


def test_every_committed_record_has_the_name_of_what_it_read():
    defaults = dataclasses.asdict(Config())
    for path in RECORDS:
        record = json.loads(path.read_text())
        method, expected = record["method"], record["identity"]
        assert path.stem == record["id"] == name_of(expected), path.name
        found = read(defaults | record["config"], method)
        found |= {"method": method, "precision": record["precision"]}
        assert found == {k: v for k, v in expected.items() if k != "data"}, path.name
        assert (record["config"]["dataset"], expected["data"]) in (
            ("synthetic", "synthetic-1"), ("cifar10-jpeg", "cifar10-jpeg")
        )  # fmt: skip
    assert len(RECORDS) > 190


def same(method, first=None, **change):
    config = Config.create("quick", method=method, **first or {})
    return run_id(config) == run_id(config.replace(**change))


def test_a_run_is_what_its_method_reads():
    assert all(same(method, ema_momentum=0.9) for method in ("random", "SimCLR", "rotation"))
    assert not any(same(method, ema_momentum=0.9) for method in ("BYOL", "MoCo v2"))
    assert same("BYOL", queue_size=64)
    assert not same("MoCo v2", queue_size=64)
    for nothing in ({"temperature": 0.7}, {"epochs": 9}, {"batch_size": 48}, {"loss": LOSSES[-1]}):
        assert same("random", **nothing)
        assert not same("SimCLR", **nothing)
    for something in ({"seed": 1}, {"width": 2}, {"image_size": 48}, {"num_images": 99}):
        assert not same("random", **something)
    assert same("SimCLR", margin=0.1)  # a margin that this loss has not
    assert not same("SimCLR", {"loss": "margin_triplet"}, margin=0.1)
    assert same("SimCLR", probe_epochs=7)
    assert not same("SimCLR", {"probe": "SGD"}, probe_epochs=7)
    assert not same("random", {"probe": "SGD"}, crop_area_min=0.5)
    for later in ("fine-tune", "distill"):
        for something in ({"label_share": 0.5}, {"finetune_from": 1}, {"epochs": 9}):
            assert same("SimCLR", **something) == ("epochs" not in something)
            assert not same(later, **something)
        assert same(later, ema_momentum=0.9)
        assert not same(later, {"start": "BYOL"}, ema_momentum=0.9)
        assert not same(later, {"start": "random"}, head_layers=3)
    assert same("fine-tune", {"start": "random"}, epochs=9)
    assert same("fine-tune", student_start="random", teacher_depth=50)
    assert not same("distill", student_start="random")
    assert not same("distill", teacher_depth=34)
    of_its_size = {"teacher_depth": 18, "teacher_width": 1.0, "teacher_sk_ratio": 0.0}
    assert same("distill", **of_its_size)  # said, or left at the default
    free = {"device": "cpu", "processes": 2, "workers": 0, "output_dir": "x", "data_dir": "y"}
    assert same("SimCLR", checkpoint_minutes=1, mirror="z", **free)
    quick = Config.create("quick")
    assert run_id(quick) == run_id(Config(**dataclasses.asdict(quick) | {"preset": "paper"}))
    assert len({run_id(Config.create("quick", method=method)) for method in METHODS}) == 8
    assert run_id(Config.create("quick", method="moco-v2")).startswith("moco-v2-")


def test_a_parameter_that_comes_later_renames_nothing(monkeypatch):
    jobs = [Config.create("quick", method=method) for method in METHODS]
    before = [run_id(job) for job in jobs]
    late = parameter(1.0, "a new idea", (1.0, 2.0), ("SimCLR",))
    late.name = "late"
    monkeypatch.setattr(identity, "_FIELDS", identity._FIELDS | {"late": late})
    assert [run_id(job) for job in jobs] == before
    values = dataclasses.asdict(jobs[1])
    assert read(values | {"late": 2.0}, "SimCLR") == read(values, "SimCLR") | {"late": 2.0}
    assert read(values | {"late": 2.0}, "BYOL") == read(values, "BYOL")


def test_bf16_and_float32_are_two_runs(monkeypatch):
    config = Config.create("smoke", device="cpu")
    assert run_id(config.replace(precision="fp32")) != run_id(config.replace(precision="bf16"))
    names = {}
    for kind in (torch.float32, torch.bfloat16):
        monkeypatch.setattr("simclr_lib.machine.devices._instruction_sets", lambda k=kind: (
            ["amx_bf16"] if k == torch.bfloat16 else [],))  # fmt: skip
        names[kind] = run_id(config)
    assert names[torch.float32] == run_id(config.replace(precision="fp32"))
    assert names[torch.bfloat16] == run_id(config.replace(precision="bf16"))


# What a folder holds


def write_image(path, seed, height=16):
    pixels = np.random.default_rng(seed).integers(0, 256, (height, 16, 3), dtype=np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


@pytest.fixture
def folder(tmp_path):
    root = tmp_path / "a" / "images"
    for number in range(80):
        write_image(root / ("bee" if number % 2 else "ant") / f"{number:03}.png", number)
    return root


def config_for(folder, **more):
    more = {"image_size": 16, "data_dir": str(folder.parent / "data"), "batch_size": 8} | more
    return Config.create("smoke", dataset=str(folder), num_images=0, **more)


def edit_label(root):
    (root / "ant" / "000.png").rename(root / "bee" / "000.png")


def edit_pixels(root):  # and with them the file's size, which is what counts of large images
    write_image(root / "ant" / "000.png", 1000, height=20)


def edit_added(root):
    write_image(root / "ant" / "100.png", 1000)


def edit_removed(root):
    (root / "ant" / "000.png").unlink()


def edit_renamed(root):
    (root / "ant" / "000.png").rename(root / "ant" / "zero.png")


def edit_class(root):
    (root / "bee").rename(root / "wasp")


def edit_new_class(root):
    write_image(root / "cat" / "000.png", 1000)


def edit_case(root):
    (root / "ant" / "000.png").rename(root / "ant" / "000.PNG")


def edit_order(root):
    files = sorted(root.rglob("*.png"), reverse=True)
    kept = [(file, file.read_bytes()) for file in files]
    shutil.rmtree(root)
    for file, content in kept:  # made in another order, so the disk may list them in another
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)


def edit_time(root):
    for file in root.rglob("*.png"):
        os.utime(file, (1, 1))


def edit_path(root):
    root.rename(root.parent / "elsewhere")


def edit_other_files(root):
    (root / "ant" / "notes.txt").write_text("not an image")


EDITS = {
    **dict.fromkeys([edit_label, edit_pixels, edit_added, edit_removed, edit_renamed], False),
    **dict.fromkeys([edit_class, edit_new_class, edit_case], False),
    **dict.fromkeys([edit_order, edit_time, edit_path, edit_other_files], True),
}


@pytest.mark.parametrize("size", [16, 112])
@pytest.mark.parametrize(("edit", "keeps"), EDITS.items())
def test_an_edit_of_a_folder_gives_another_run_if_it_changes_what_is_read(
    edit, keeps, size, folder
):
    before = run_id(config_for(folder, image_size=size))
    assert run_id(config_for(folder, image_size=size)) == before
    edit(folder)
    now = folder if folder.exists() else folder.parent / "elsewhere"
    assert (run_id(config_for(now, image_size=size)) == before) == keeps


@pytest.mark.parametrize("size", [16, 112])
def test_two_copies_of_a_folder_are_one_data_set_and_two_folders_of_a_name_are_two(size, folder):
    copy, other = folder.parent.parent / "b" / "images", folder.parent.parent / "c" / "images"
    shutil.copytree(folder, copy, copy_function=shutil.copyfile)
    shutil.copytree(folder, other)
    edit_pixels(other)
    edit_added(other)
    ids = [run_id(config_for(place, image_size=size)) for place in (folder, copy, other)]
    assert ids[0] == ids[1] != ids[2]


def test_an_accent_is_one_letter_on_every_disk(folder):
    (folder / "bee").rename(folder / unicodedata.normalize("NFC", "abé"))
    composed = fingerprint(config_for(folder))
    (folder / unicodedata.normalize("NFC", "abé")).rename(
        folder / unicodedata.normalize("NFD", "abé")
    )
    assert fingerprint(config_for(folder)) == composed
    assert data.load(config_for(folder)).classes == ("abé", "ant")


def test_an_own_folder_is_no_known_set_whatever_it_is_called(folder):
    for name in ("cifar10", "cifar10-jpeg", "synthetic", "synthetic-1"):
        place = folder.rename(folder.parent / name)
        named = fingerprint(config_for(place).replace(dataset=f"{place}/"))
        assert named not in CERTAIN.values()
        assert named == fingerprint(config_for(place))
        folder = place
    jobs = [config_for(folder), config_for(folder, temperature=0.5)]
    assert len(runs.table(jobs, "temperature")) == 0


def test_a_known_folder_is_known_wherever_it_lies(folder, monkeypatch):
    shutil.copytree(folder / "ant", folder / "train" / "ant")
    shutil.copytree(folder / "bee", folder / "train" / "bee")
    shutil.copytree(folder / "train", folder / "test")
    found = fingerprint(config_for(folder))
    monkeypatch.setattr("simclr_lib.data.folders.KNOWN", {found: "cifar10-jpeg"})
    moved = folder.rename(folder.parent / "mine")
    assert fingerprint(config_for(moved)) == "cifar10-jpeg"
    assert data.load(config_for(moved)).origin.fingerprint == "cifar10-jpeg"


def test_labels_or_images_changed_in_memory_are_another_run(folder):
    for config in (Config.create("smoke"), config_for(folder)):
        images = data.load(config)
        assert run_id(config, images) == run_id(config)
        wrong = images.train.labels.clone()
        wrong[: len(wrong) // 2] = (wrong[: len(wrong) // 2] + 1) % len(images.classes)
        part = ImageSet(images.train.images, wrong)
        half = images.train.subset(torch.arange(len(images.train) // 2))
        changed = [
            images._replace(train=part),
            images._replace(pretrain=half),
            images._replace(test=images.train),
            images._replace(classes=images.classes[::-1]),
        ]
        names = {run_id(config, found) for found in [images, *changed]}
        assert len(names) == 5
        own = images._replace(origin=None)
        assert run_id(config, own) == run_id(config, own._replace(name="of another name"))


def test_the_embedded_images_are_those_that_records_call_synthetic_1():
    """Not to the bit: they are drawn in float32, and processors round differently."""
    images, labels = synthetic.generate(64, 2002)
    assert CERTAIN["synthetic"] == "synthetic-1"
    assert labels[:16].tolist() == LABELS
    means = images.float().mean(dim=(1, 2, 3))
    assert means[:8].tolist() == pytest.approx(MEANS, abs=0.02)
    assert images[::9, :, 7, 21].flatten().tolist() == pytest.approx(PIXELS, abs=1)


# Splits


def test_a_new_file_moves_no_other_between_the_parts(folder):
    def parts():
        found = data.load(config_for(folder, image_size=112))
        where = {}
        for part in ("train", "validation", "test"):
            for path in getattr(found, part).paths:
                assert where.setdefault(f"{path.parent.name}/{path.name}", part) == part
        return where

    before = parts()
    assert set(before.values()) == {"train", "validation", "test"}
    for number in range(100, 140):
        write_image(folder / "ant" / f"{number}.png", number)
    after = parts()
    assert {name: after[name] for name in before} == before
    shares = [sum(v == part for v in after.values()) for part in ("test", "validation")]
    assert all(2 <= share <= 20 for share in shares)


def test_shares_of_the_split():
    names = [f"x/{number}.jpg" for number in range(100_000)]
    kept, held = data.images.by_name(names, "test", 0.1)
    assert len(held) == pytest.approx(10_000, rel=0.05)
    assert sorted([*kept.tolist(), *held.tolist()]) == list(range(100_000))
    other = set(data.images.by_name(names, "validation", 0.1)[1].tolist())
    assert len(other & set(held.tolist())) == pytest.approx(1000, rel=0.15)  # drawn independently


def test_fewer_images_are_a_sample_of_all(folder):
    few = data.load(config_for(folder).replace(num_images=20))
    many = data.load(config_for(folder))
    assert torch.equal(few.train.images, many.train.images[:20])
    assert len(set(few.train.labels.tolist())) == 2
    with pytest.raises(ValueError, match="num_images=500 is not valid"):
        data.load(config_for(folder).replace(num_images=500))


def test_a_folder_too_small_to_split_is_refused(tmp_path):
    for name in ("ant", "bee"):
        write_image(tmp_path / "few" / name / "1.png", 1)
    with pytest.raises(ValueError, match="its test part would be empty"):
        data.load(config_for(tmp_path / "few", batch_size=2))


# Caches


def test_cached_labels_do_not_outlive_their_class_list(folder):
    place = folder.parent / "parts"
    for part in ("train", "test"):
        for name in ("bee", "cat"):
            shutil.copytree(folder / "bee", place / part / name)
    assert data.load(config_for(place)).test.labels.unique().tolist() == [0, 1]
    for part in ("train", "test"):
        shutil.copytree(folder / "ant", place / part / "ant")
    found = data.load(config_for(place))
    bees = data.load(config_for(folder)).classes.index("bee")
    assert found.classes[1] == "bee"
    assert bees == 1
    for part in (found.train, found.test):
        of_bees = part.images[part.labels == 1]
        assert len(of_bees)
        assert len(part.images[part.labels == 0])
    assert (found.test.labels == 1).sum() == 40


def test_what_a_process_holds_does_not_outlive_mended_files(folder, tmp_path):
    config = config_for(folder, output_dir=str(tmp_path / "runs")).replace(method="random")
    runs.run([config], processes=1)
    edit_pixels(folder)
    runs.run([config], processes=1)
    found = records.read(config)
    own = [r for r in found if r["source"] == "yours"]
    assert len({r["id"] for r in own}) == len({r["identity"]["data"] for r in own}) == 2


# Records


@pytest.fixture
def config(tmp_path, monkeypatch):
    monkeypatch.setattr("simclr_lib.paths.project_root", lambda: tmp_path)
    return Config.create("smoke", num_images=64, epochs=1, batch_size=32, warmup_epochs=0.0,
                         device="cpu", precision="fp32")  # fmt: skip


def test_random_is_judged_once_for_all_temperatures(config):
    jobs = runs.grid(config, method=["random"], temperature=[0.1, 0.5], epochs=[1, 2])
    assert len(runs.not_recorded(jobs)) == 1
    runs.run(jobs, processes=1)
    table = runs.table(jobs, "temperature", "epochs", config=config)
    assert len(table) == 4  # a row for each point of a plot
    assert table["linear"].nunique() == 1
    assert runs.summary(table, "method")["seeds"].tolist() == [1]


def test_runs_in_other_numbers_are_not_averaged(config):
    half, auto = config.replace(precision="bf16"), config.replace(precision="auto")
    for seed, job in enumerate((config, half)):
        records.add(job.replace(seed=seed), {"linear": 50.0 + 20 * seed})
    for job, value in ((config, 50.0), (half, 70.0), (auto, 50.0)):
        found = runs.table([job], "width", config=config)
        if job is auto and "bfloat16" in found["precision"].tolist():
            value = 70.0  # a processor on which that is what `auto` means
        assert found["linear"].tolist() == [value]
    both = runs.table([config, half], "width", config=config)
    assert runs.summary(both, "width")["seeds"].tolist() == [1]


def test_who_is_skipped_says_by_which_record(config, capsys, monkeypatch):
    job = config.replace(method="random")
    runs.run([job], "first", processes=1)
    capsys.readouterr()
    runs.run([job], "second", processes=1)
    (record,) = records.read(config)
    said = capsys.readouterr().out
    assert f"second: 1 of 1 already recorded ({record['id']}, {record['date']}, commit" in said
    assert record["commit"] in said
    assert "has changed" not in said
    monkeypatch.setattr("simclr_lib.runs.records.code", lambda: "other")
    runs.run([job], "third", processes=1)
    assert "the library's code has changed since: to make a run again" in capsys.readouterr().out


def test_a_record_from_before_identities_is_found_if_its_data_is_known(config):
    record = records.make(config, {"linear": 61.0})
    for key in ("id", "identity", "code"):
        del record[key]
    del record["config"]["probe"]
    records.write(record, records.path_of(config).parent, "simclr-old")
    (found,) = records.read(config)
    assert found["id"] == run_id(config)
    assert runs.table([config], config=config)["linear"].tolist() == [61.0]
    record["config"]["dataset"] = "images"
    records.write(record, records.path_of(config).parent, "simclr-old")
    assert records.read(config) == []


def test_a_table_counts_those_that_diverged_and_no_seed_twice(config):
    for seed, metrics in enumerate(({"linear": 50.0}, {"linear": 70.0}, {})):
        more = {} if metrics else {"failed": "the loss is nan"}
        records.add(config.replace(seed=seed), metrics, **more)
    jobs = runs.grid(config, seed=[0, 1, 2])
    (row,) = runs.summary(runs.table(jobs, "width", config=config), "width").to_dict("records")
    assert (row["mean"], row["seeds"], row["diverged"]) == (60.0, 2, 1)


def test_a_method_of_your_own_has_a_config_of_its_name():
    config = Config.create("smoke").of_method("Jigsaw2")
    assert config.method == config.as_record()["method"] == "Jigsaw2"
    assert config.replace(width=2).method == pickle.loads(pickle.dumps(config)).method == "Jigsaw2"
    assert config.replace(method="byol") == Config.create("smoke", method="BYOL")
    assert run_id(config).startswith("jigsaw2-")
    assert run_id(config) != run_id(config.replace(queue_size=64))  # who knows what it reads
    assert run_id(config.of_method("方法")) != run_id(config.of_method("方式"))
    for name in ("Mo-Co V2", "byol", "", 3):
        with pytest.raises(
            ValueError, match=f"method={name!r} is not valid for a class of your own"
        ):
            config.of_method(name)
    with pytest.raises(ValueError, match="method='Jigsaw2' is not valid"):
        Config.create("smoke", method="Jigsaw2")


def test_data_loaded_for_other_parameters_are_not_those_of_the_config(folder):
    small = data.load(Config.create("smoke", num_images=64))
    large = Config.create("smoke", num_images=128)
    assert run_id(large, small) != run_id(large)
    assert run_id(large.replace(num_images=64, temperature=0.7), small) == run_id(
        large.replace(num_images=64, temperature=0.7)
    )
    assert run_id(large.replace(image_size=48), data.load(large)) != run_id(
        large.replace(image_size=48)
    )
    files = config_for(folder, image_size=112)
    assert run_id(files.replace(image_size=128), data.load(files)) == run_id(
        files.replace(image_size=128)
    )


def test_files_of_the_same_names_elsewhere_are_not_the_set(folder):
    config = config_for(folder, image_size=112)
    images, other = data.load(config), folder.parent / "other"
    for path in images.train.paths:
        write_image(other / path.parent.name / path.name, 1, height=40)
    paths = [str(other / path.parent.name / path.name) for path in images.train.paths]
    moved = data.ImageFiles(paths, images.train.labels)
    assert run_id(config, images._replace(train=moved, pretrain=moved)) != run_id(config, images)


def test_hidden_folders_and_files_are_no_classes_and_no_images(folder):
    before = fingerprint(config_for(folder))
    write_image(folder / ".ipynb_checkpoints" / "1.png", 1)
    (folder / "ant" / "._000.png").write_bytes(b"of another system")
    assert fingerprint(config_for(folder)) == before
    assert data.load(config_for(folder)).classes == ("ant", "bee")


def test_a_name_of_any_bytes_is_a_name(folder):
    name = b"caf\xe9.png".decode("utf-8", "surrogateescape")
    write_image(folder / "ant" / "plain.png", 1000)
    (folder / "ant" / "plain.png").rename(folder / "ant" / name)
    found = data.load(config_for(folder, image_size=112))
    parts = (found.train, found.validation, found.test)
    assert sum(path.name == name for part in parts for path in part.paths) == 1
    assert run_id(config_for(folder, image_size=112))


def test_what_would_be_left_out_of_a_folder_is_refused_by_name(folder):
    shutil.copytree(folder / "ant", folder / "train" / "ant")
    shutil.copytree(folder / "bee", folder / "train" / "bee")
    with pytest.raises(
        FileNotFoundError, match="a train folder of class folders, but none of test"
    ):
        fingerprint(config_for(folder))
    shutil.copytree(folder / "train", folder / "validation")
    assert len(data.load(config_for(folder)).test) == 80
    shutil.copytree(folder / "ant", folder / "validation" / "wolf")
    with pytest.raises(FileNotFoundError, match=r"class folders that .*train lacks: wolf"):
        fingerprint(config_for(folder))
    shutil.rmtree(folder / "validation" / "wolf")
    (folder / "train" / "bee").rename(folder / "train" / "deep")
    (folder / "train" / "bee").mkdir()
    (folder / "train" / "deep").rename(folder / "train" / "bee" / "deep")
    with pytest.raises(FileNotFoundError, match=r"no JPEG or PNG files in .*train/bee"):
        fingerprint(config_for(folder))


def test_a_run_that_failed_is_of_the_images_it_saw(config, folder, monkeypatch):
    job = config_for(folder, output_dir=str(folder.parent / "runs"), device="cpu")
    before = run_id(job)

    def diverge(*_, **__):
        edit_added(folder)
        raise NotFiniteError("the loss is nan")

    monkeypatch.setattr("simclr_lib.runs.one.train", diverge)
    runs.run([job], processes=1)
    assert [r["id"] for r in records.read(job)] == [before]


def test_a_mean_over_several_configurations_counts_them_all(config):
    jobs = runs.grid(config, depth=[18, 34], width=[0.5, 1.0], seed=[0, 1])
    for value, job in enumerate(jobs):
        records.add(job, {"linear": float(value)})
    table = runs.table(jobs, "depth", "width", config=config)
    means = runs.summary(table, "width").set_index("width")
    assert means["mean"].tolist() == [2.5, 4.5]
    assert means["seeds"].tolist() == [4, 4]
    of_one = runs.summary(table, "depth", "width")
    assert of_one["mean"].tolist() == [0.5, 2.5, 4.5, 6.5]
    with pytest.raises(ValueError, match=r"by=\(\) is not valid"):
        runs.summary(table)


def test_each_record_stands_under_the_label_of_its_job(config):
    jobs = runs.grid(config, precision=["fp32", "bf16"], seed=[0, 1])
    for job in jobs:
        records.add(job, {"linear": 10.0 * job.seed})
    found = runs.table(jobs, "seed", "method", "precision", config=config,
                       name=lambda job: f"{job.precision} {job.seed}")  # fmt: skip
    labels = {"float32": "fp32", "bfloat16": "bf16"}
    assert len(found) == 4
    for row in found.itertuples():
        assert row.name == f"{labels[row.precision]} {row.seed}"
        assert row.linear == 10 * row.seed
    assert runs.summary(found, "method", "precision")["seeds"].tolist() == [2, 2]
