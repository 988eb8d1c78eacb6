"""SimCLR with the memory of v2: golden parts are in test_methods; here what is ours."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from simclr_lib.config import Config
from simclr_lib.losses import nt_xent
from simclr_lib.methods import Batch, build, class_of
from simclr_lib.methods.memory import nt_xent_with_memory


def config(**change):
    return Config.create("smoke", batch_size=8, memory_size=20, memory_momentum=0.9, **change)


def test_without_entries_it_is_nt_xent():
    z = torch.randn(12, 5, dtype=torch.float64)
    none = torch.empty(0, 5, dtype=torch.float64)
    assert torch.allclose(nt_xent_with_memory(z, none, 0.2), nt_xent(z, 0.2))


def test_entries_are_further_negatives_by_a_plain_loop():
    z = F.normalize(torch.randn(6, 5, dtype=torch.float64))
    memory = F.normalize(torch.randn(4, 5, dtype=torch.float64))
    losses = []
    for i in range(6):
        others = [torch.exp(z[i] @ z[j] / 0.3) for j in range(6) if j != i]
        others += [torch.exp(z[i] @ row / 0.3) for row in memory]
        losses.append(-torch.log(torch.exp(z[i] @ z[(i + 3) % 6] / 0.3) / sum(others)))
    assert torch.allclose(nt_xent_with_memory(z, memory, 0.3), torch.stack(losses).mean())


def test_an_update_moves_the_copy_then_the_queue_and_trains_neither():
    method = build(config())
    assert class_of(config()) is type(method)
    with torch.no_grad():
        for p in method.encoder.parameters():
            p.add_(0.1)  # online has moved on
    online, slow = (next(m.parameters()).clone() for m in (method.encoder, method.slow))
    method.before_step(0, 10)
    assert torch.allclose(next(method.slow.parameters()), 0.9 * slow + 0.1 * online)
    before, views = method.queue.rows.clone(), torch.rand(2, 8, 3, 32, 32)
    outputs = method(Batch(tuple(views), torch.zeros(8).long(), torch.arange(8)))
    loss, _ = method.loss(outputs, torch.zeros(8).long())
    loss.backward()
    assert all(p.grad is None for p in method.slow.parameters())
    assert torch.equal(method.queue.rows, before)  # the new ones are not their own negatives
    for _ in range(3):  # 24 rows into 20: around the end
        method.after_step(0, 10)
    assert method.queue.oldest == 4
    assert torch.allclose(method.queue.rows[:4], F.normalize(outputs[2])[4:])
    assert torch.allclose(method.queue.rows.norm(dim=1), torch.ones(20))


@pytest.mark.parametrize(
    ("change", "valid"),
    [
        ({"memory_size": 7}, "at least batch_size=8"),
        ({"l2_normalize": False}, "0 with another loss"),
        ({"loss": "margin_triplet"}, "0 with another loss"),
    ],
)
def test_what_cannot_be_is_refused_by_name(change, valid):
    with pytest.raises(ValueError, match=f"memory_size=.* is not valid; it must be {valid}"):
        build(config().replace(**change))


def test_the_official_sum_pulls_twice_as_hard_with_a_memory_too():
    views = tuple(torch.rand(2, 8, 3, 32, 32, generator=torch.Generator().manual_seed(0)))
    found = []
    for kind in ("paper", "official"):
        method = build(config(loss_sum=kind))
        outputs = method(Batch(views, torch.zeros(8).long(), torch.arange(8)))
        loss, _ = method.loss(outputs, torch.zeros(8).long())
        loss.backward()
        found.append((loss.detach(), method.head.layers[0][0].weight.grad))
    assert torch.equal(found[0][0], found[1][0])  # what is reported stays nats a view
    assert torch.allclose(2 * found[0][1], found[1][1])
