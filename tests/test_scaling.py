"""What a run takes, from first principles: known counts, and how they grow."""

from __future__ import annotations

import pytest

from simclr_lib.config import Config
from simclr_lib.runs import scaling

PAPER, IMAGES = Config.create("paper"), 1_281_167
CORES = scaling.MACHINES[0]


def test_the_counts_of_resnet_50_are_the_known_ones():
    network = scaling.measure(PAPER)
    assert network.flops == pytest.approx(2 * 4.09e9, rel=0.01)  # 4.1 billion multiply-adds
    assert network.activations == pytest.approx(11.1e6, rel=0.01)
    head = 2048 * 2048 + 2048 + 2048 * 128 + 128  # two layers, batch norm with scales, one offset
    assert network.parameters == pytest.approx(23.51e6 + head, abs=5e4)
    one = Config.create("quick", depth=18)
    assert (
        scaling.measure(one.replace(width=2.0)).activations == 2 * scaling.measure(one).activations
    )


def test_time_is_divided_and_memory_is_what_has_to_fit():
    whole = scaling.predict(PAPER, IMAGES, CORES)
    half = scaling.predict(PAPER, IMAGES, CORES._replace(devices=64))
    assert half.arithmetic == 2 * whole.arithmetic
    assert half.traffic == 2 * whole.traffic
    assert half.exchange == whole.exchange  # every device sends all of it, however many there are
    assert whole.memory < half.memory < 2 * whole.memory
    alone = CORES._replace(devices=1, exchange=0.0)
    assert scaling.predict(PAPER, IMAGES, alone).exchange == 0.0
    assert whole.seconds == whole.arithmetic + whole.traffic + whole.exchange
    assert whole.seconds / 3600 < 1.5  # a floor: the authors' run took 1.5 hours


def test_chunks_cost_a_forward_pass_and_save_memory():
    plain = scaling.predict(PAPER, IMAGES, CORES)
    chunked = scaling.predict(PAPER.replace(chunk_size=512), IMAGES, CORES)
    assert chunked.arithmetic == pytest.approx(plain.arithmetic * 4 / 3)
    assert chunked.traffic == pytest.approx(plain.traffic * 19 / 14)
    assert chunked.memory < plain.memory / 3
