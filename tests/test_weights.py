"""A network from a file of weights: there and back, what is refused, and whose run it makes."""

from __future__ import annotations

import shutil

import pytest
import torch
from safetensors.torch import save_file

from simclr_lib import data
from simclr_lib.config import Config
from simclr_lib.identity import run_id
from simclr_lib.methods import build
from simclr_lib.runs import records
from simclr_lib.train import train, weights

CONFIG = Config.create("smoke", num_images=64, device="cpu", precision="fp32", epochs=1)


def changed(**parameters):
    """A network that differs from the one that `build` makes, moving statistics too."""
    method = build(CONFIG.replace(**parameters), 10)
    with torch.no_grad():
        for number, x in enumerate(method.state_dict().values()):
            if x.is_floating_point():
                x.add_(0.001 * number)
    return method


@pytest.fixture
def path(tmp_path):
    return weights.write(tmp_path / "network.safetensors", changed())


def test_what_is_written_comes_back(path):
    found, expected = weights.network(path, CONFIG), changed()
    assert found.name == "SimCLR"
    assert found.state_dict().keys() == expected.state_dict().keys()
    for name, x in expected.state_dict().items():
        assert torch.equal(found.state_dict()[name], x), name


def test_of_a_queue_and_a_slow_copy_nothing_is_written(tmp_path):
    for more in ({"method": "MoCo v2"}, {"memory_size": 64}):
        written = weights.read(weights.write(tmp_path / "x.safetensors", changed(**more)))
        assert {name.split(".")[0] for name in written} == {"encoder", "head"}
    memory = CONFIG.replace(memory_size=64)
    assert weights.network(tmp_path / "x.safetensors", memory).name == "SimCLR"


def test_a_file_without_a_head_gives_the_encoder(tmp_path):
    path = weights.write(tmp_path / "x.safetensors", changed(method="supervised"))
    start = weights.network(path, CONFIG)
    assert len(start.head.layers) == 0
    for stage in (0, 1):
        method = build(CONFIG.replace(method="fine-tune", finetune_from=stage), 10)
        if stage:
            with pytest.raises(ValueError, match="finetune_from=1 is not valid; it must be 0"):
                method.receive(start=start)
        else:
            method.receive(start=start)
            stem = changed(method="supervised").encoder.stem[0].weight
            assert torch.equal(method.encoder.stem[0].weight, stem)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"width": 2.0}, r"does not fit .*width=2, .*size mismatch for"),
        ({"depth": 34}, r"does not fit .*depth=34, .*Missing key"),
        ({"head_layers": 3}, "head_layers=3 is not valid; it must be 2, as network.safetensors"),
    ],
)
def test_another_network_is_named_by_its_parameters(parameters, message, path):
    with pytest.raises(ValueError, match=f"(?s){message}"):
        weights.network(path, CONFIG.replace(**parameters))


def test_what_is_no_file_of_weights_is_refused_by_name(path, tmp_path):
    other = path.rename(tmp_path / "network.pt")
    for wrong in (other, tmp_path / "SimCLRv3"):
        with pytest.raises(ValueError, match=f"start='{wrong.name}' is not valid; .*safetensors"):
            weights.network(wrong, CONFIG)
    with pytest.raises(FileNotFoundError, match=r"start='.*network.safetensors' is not there"):
        weights.network(path, CONFIG)
    content = other.read_bytes()
    for damaged in (b"", content[:100], content[:-100], content[:8] + b"x" * 50 + content[58:]):
        path.write_bytes(damaged)
        with pytest.raises(ValueError, match=r"start='.*network.safetensors' is damaged or no"):
            weights.network(path, CONFIG)
    for names in (["resnet.weight"], ["head.layers.0.0.weight"], ["encoder.stem", "classifier.x"]):
        save_file({name: torch.ones(2) for name in names}, path)
        with pytest.raises(ValueError, match=r"start='network.safetensors' .*a file of encoder.\*"):
            weights.network(path, CONFIG)


def test_a_run_is_of_what_is_in_the_file(path, tmp_path):
    config = CONFIG.replace(method="fine-tune", start=str(path))
    (tmp_path / "elsewhere").mkdir()
    copy = shutil.copy(path, tmp_path / "elsewhere" / "another.safetensors")
    other = weights.write(tmp_path / "other.safetensors", changed(seed=1))
    same, different = (config.replace(start=str(place)) for place in (copy, other))
    assert run_id(config) == run_id(same)
    assert len({run_id(config), run_id(different), run_id(config.replace(start="random"))}) == 3
    before = run_id(config)
    shutil.copy(other, path)
    assert run_id(config) == run_id(different) != before
    assert records.make(config, {})["config"]["start"] == "network.safetensors"  # no path


def test_fine_tuning_starts_from_the_file(path, tmp_path):
    config = CONFIG.replace(method="fine-tune", start=str(path), finetune_from=1)
    config = config.replace(output_dir=str(tmp_path), finetune_learning_rate=1e-9)
    method = train(config, data.load(config)).method
    expected = changed()
    torch.testing.assert_close(method.encoder.stem[0].weight, expected.encoder.stem[0].weight)
    torch.testing.assert_close(method.layers[0][0].weight, expected.head.layers[0][0].weight)
