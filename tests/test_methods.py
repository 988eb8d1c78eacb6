"""Methods: recorded cases of the official code, plain loops, and the promises of the seam."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from conftest import GOLDEN, assert_near
from one_step import METHODS as TRAINED
from one_step import batches, make, updates
from torch import Tensor, nn

from simclr_lib.config import Config
from simclr_lib.methods import METHODS, Batch, Method, build, byol
from simclr_lib.methods.method import follow
from simclr_lib.networks.heads import ProjectionHead
from simclr_lib.schedule import warmup_cosine
from simclr_lib.train import train, update
from simclr_lib.train.loop import set_up


@pytest.fixture(scope="module")
def lineage():
    arrays = np.load(GOLDEN / "lineage.npz", allow_pickle=False)
    return lambda name: torch.from_numpy(np.asarray(arrays[name]).copy())


def as_views(*x):
    """Rows (N, d) as images of one pixel, for an encoder that flattens them."""
    labels = torch.zeros(len(x[0]), dtype=torch.int64)
    return Batch(tuple(part[:, :, None, None] for part in x), labels, torch.arange(len(x[0])))


def test_names_are_those_of_the_papers_and_every_class_has_its_own():
    alone = ["random", "SimCLR", "supervised", "rotation", "MoCo v2", "BYOL"]
    assert list(METHODS) == [*alone, "fine-tune", "distill"]
    assert all(cls.name == name for name, cls in METHODS.items())
    assert set(TRAINED) == {name for name, cls in METHODS.items() if cls.trained}


def moco(lineage, case):
    """MoCo v2 with the recorded queue and weights, behind an encoder that does nothing."""
    queue = lineage(f"moco/{case}/queue_init").T.contiguous()  # (K, dim)
    config = Config.create(
        "smoke",
        method="MoCo v2",
        batch_size=4,
        queue_size=len(queue),
        projection_dim=queue.shape[1],
        temperature=lineage(f"moco/{case}/temperature").item(),
        ema_momentum=lineage(f"moco/{case}/momentum").item(),
    )
    method = build(config)
    method.queue.rows.copy_(queue)
    method.encoder = nn.Flatten()
    for whose in ("q", "k"):
        names = ("fc.0", "fc.2") if case == "v2_mlp" else ("fc",)
        shape = lineage(f"moco/{case}/q_init/{names[0]}.weight").shape
        layers, dim = len(names), queue.shape[1]
        head = ProjectionHead(shape[1], layers, dim, False, generator=torch.Generator())
        for layer, name in zip(head.layers, names, strict=True):
            layer[0].weight.data = lineage(f"moco/{case}/{whose}_init/{name}.weight")
            layer[0].bias.data = lineage(f"moco/{case}/{whose}_init/{name}.bias")
        if whose == "q":
            method.head = head
        else:
            method.slow = nn.Sequential(nn.Flatten(), head.requires_grad_(False))
    return method.train(), names


@pytest.mark.parametrize("case", ["v1_wrap", "v2_mlp"])
def test_moco_makes_the_recorded_updates(case, lineage):
    method, names = moco(lineage, case)
    rate = lineage(f"moco/{case}/learning_rate").item()
    optimizer = torch.optim.SGD(method.head.parameters(), rate)
    queries, keys = (lineage(f"moco/{case}/x_{whose}") for whose in "qk")
    for step, (x_q, x_k) in enumerate(zip(queries, keys, strict=True)):
        loss, _ = update(method, optimizer, as_views(x_q, x_k), step, len(queries))
        assert loss.item() == pytest.approx(lineage(f"moco/{case}/loss")[step].item(), rel=1e-5)
        found = {"grad": method.head, "q_after": method.head, "k_after": method.slow[1]}
        for what, head in found.items():
            for layer, name in zip(head.layers, names, strict=True):
                for kind in ("weight", "bias"):
                    value = getattr(layer[0], kind)
                    value = value.grad if what == "grad" else value
                    expected = lineage(f"moco/{case}/{what}/{name}.{kind}")[step]
                    assert_near(value, expected, name=f"{what} of {name}.{kind}, update {step}")
        assert_near(
            method.queue.rows.T, lineage(f"moco/{case}/queue")[step], name=f"queue, update {step}"
        )
        assert method.queue.oldest.item() == lineage(f"moco/{case}/queue_ptr")[step].item()


@pytest.mark.parametrize("case", ["m0999", "m09"])
def test_a_slow_copy_follows_as_recorded(case, recorded):
    slow, online = (nn.Linear(3, 7, bias=False).double() for _ in range(2))
    slow.weight.data = recorded.get(f"ema/{case}/start").clone()
    for fast, expected in zip(
        recorded.get(f"ema/{case}/online"), recorded.get(f"ema/{case}/after"), strict=True
    ):
        online.weight.data = fast
        follow(slow, online, recorded.cases[f"ema/{case}"]["decay"])
        assert torch.equal(online.weight, fast)  # the one that is followed stays
        assert_near(slow.weight, expected, 1e-12)


def test_the_memory_of_keys_is_as_recorded(recorded):
    facts = recorded.cases["memory"]
    config = Config.create("smoke", method="MoCo v2", batch_size=4, projection_dim=6)
    config = config.replace(temperature=facts["temperature"], queue_size=facts["size"])
    method = build(config).double()
    method.queue.rows.copy_(recorded.get("memory/queue_start"))
    method.queue.oldest.fill_(facts["start_pointer"])
    for step, pointer in enumerate(facts["pointer_after"]):
        get = lambda name, step=step: recorded.get(f"memory/step{step}/{name}")  # noqa: E731
        query = get("query").requires_grad_()
        loss, _ = method.loss((query, get("key")), torch.zeros(4))
        loss.backward()
        assert_near(loss, get("loss"), 1e-12)
        assert_near(query.grad, get("grad_query"), 1e-10)
        method.after_step(step, 3)
        assert_near(method.queue.rows, get("queue_after"), 1e-12)
        assert method.queue.oldest == pointer  # the first write ends the queue


def test_keys_that_do_not_fit_before_the_end_of_the_queue_go_on_at_its_beginning():
    config = Config.create("smoke", method="MoCo v2", batch_size=4, projection_dim=2, queue_size=10)
    method, expected = build(config), []
    for step in range(5):
        expected += [float(key) for key in range(4 * step, 4 * step + 4)]
        method.newest = torch.tensor(expected[-4:])[:, None].expand(4, 2)
        method.after_step(step, 5)
    assert method.queue.rows[:, 0].tolist() == expected[10:]  # the last ten of twenty
    assert method.queue.oldest == 0


def test_a_queue_smaller_than_a_batch_is_refused():
    with pytest.raises(ValueError, match="queue_size=32 is not valid; .* at least batch_size=64"):
        build(Config.create("smoke", method="MoCo v2", queue_size=32))


@pytest.mark.parametrize("case", ["loss_a", "loss_tiny_row"])
def test_byol_has_the_recorded_loss_and_gradients(case, lineage):
    p1, p2 = (lineage(f"byol/{case}/prediction{i}").requires_grad_() for i in (1, 2))
    t1, t2 = (lineage(f"byol/{case}/target{i}") for i in (1, 2))
    loss, _ = make("BYOL", torch.float32).loss((p1, p2, t1, t2), torch.zeros(len(p1)))
    loss.backward()
    assert loss.item() == pytest.approx(lineage(f"byol/{case}/loss").item(), rel=1e-5)
    for i, p in enumerate((p1, p2), start=1):
        assert_near(p.grad, lineage(f"byol/{case}/grad_prediction{i}"))


def test_byol_has_the_recorded_schedules_and_heads(lineage):
    def one(name):
        return lineage(f"byol/schedule/{name}").item()

    steps, total = lineage("byol/schedule/steps").tolist(), one("total_steps")
    peak = one("base_learning_rate") * one("batch_size") / 256
    for place, step in enumerate(steps):
        tau = byol.momentum_of(step, total, one("base_tau"))
        assert tau == pytest.approx(lineage("byol/schedule/tau")[place].item(), rel=1e-6)
        rate = warmup_cosine(step, peak, one("warmup_steps"), total)
        expected = lineage("byol/schedule/learning_rate")[place].item()
        assert rate == pytest.approx(expected, rel=1e-6, abs=1e-9)
    head = byol.mlp(6, 10, 4, torch.Generator()).train()
    for tensor, name in (
        (head[0].weight, "hidden_weight"), (head[0].bias, "hidden_bias"),
        (head[1].gamma, "bn_scale"), (head[1].beta, "bn_offset"), (head[3].weight, "output_weight"),
    ):  # fmt: skip
        value = lineage(f"byol/mlp/{name}")
        tensor.data = value.T.contiguous() if value.ndim == 2 else value
    x = lineage("byol/mlp/input").requires_grad_()
    output = head(x)
    (output * lineage("byol/mlp/cotangent")).sum().backward()
    assert_near(output, lineage("byol/mlp/output"))
    assert_near(x.grad, lineage("byol/mlp/grad_input"))
    assert_near(head[0].weight.grad.T, lineage("byol/mlp/grad_hidden_weight"))


def test_byol_moves_its_target_after_the_optimizer_and_never_its_moving_statistics():
    method = make("BYOL")
    before, batch = copy.deepcopy(method), batches(method)[0]
    updates(method, [batch])
    tau = byol.momentum_of(0, 5, method.config.ema_momentum)
    online = dict(nn.Sequential(method.encoder, method.head).named_parameters())
    for name, weight in method.target.named_parameters():
        old = before.target.get_parameter(name)
        torch.testing.assert_close(weight, tau * old + (1 - tau) * online[name])
        assert weight.grad is None
    for x in batch.views:  # its own passes in training mode, one for each view
        before.target.train()(x)
    for name, moving in before.target.named_buffers():
        torch.testing.assert_close(method.target.get_buffer(name), moving)


def test_rotation_turns_as_recorded_and_asks_by_how_much(lineage):
    image = lineage("rotation/image").permute(2, 0, 1)[None].float()  # (1, 3, H, W)
    two = Batch((torch.cat([image, image + 1]),), torch.tensor([7, 8]), torch.tensor([5, 6]))
    (turned,), answers, index = make("rotation").prepare(two, torch.Generator())
    expected = lineage("rotation/rotated").permute(0, 3, 1, 2).float()
    assert torch.equal(turned[::2], expected)
    assert torch.equal(turned[1::2], expected + 1)
    assert answers[::2].tolist() == lineage("rotation/labels").tolist()
    assert index.tolist() == [5, 6] * 4


@pytest.mark.parametrize("name", TRAINED)
def test_what_is_kept_is_not_trained_and_what_is_trained_is_all_in_the_checkpoint(name):
    method = make(name)
    trained = {n for group in method.parameter_groups() for n, _ in group["params"]}
    kept = {n for n, p in method.named_parameters() if not p.requires_grad}
    assert trained
    assert not trained & kept
    assert bool(kept) == (name in ("MoCo v2", "BYOL", "distill"))
    assert trained | kept <= set(method.state_dict())


class Mine(Method):
    """The smallest method: both views of an image should be equal in h. It collapses."""

    name = "mine"

    def forward(self, batch: Batch) -> tuple[Tensor, ...]:
        return tuple(self.encoder(x) for x in batch.views)

    def loss(self, outputs: tuple[Tensor, ...], labels: Tensor) -> tuple[Tensor, Tensor]:
        return (outputs[0] - outputs[1]).square().mean(), outputs[0].new_zeros(())


def test_a_class_of_ones_own_is_trained_kept_and_comes_back(tmp_path, load_smoke):
    from simclr_lib import evaluation, runs
    from simclr_lib.train import trained

    config, images = load_smoke(output_dir=str(tmp_path))
    run = train(config, images, method=Mine)
    assert run.history["loss"][-1] < run.history["loss"][0]
    again = trained(config, make=Mine)
    assert all(
        torch.equal(a, b)
        for a, b in zip(again.state_dict().values(), run.method.state_dict().values(), strict=True)
    )
    metrics = evaluation.evaluate(run.method, images, config, run.head)
    record = runs.add(config.of_method("mine"), metrics, run)
    assert record["method"] == record["config"]["method"] == "mine"
    assert (tmp_path / "weights").exists()


def test_options_of_a_group_reach_the_optimizer():
    class Undecayed(Mine):
        def parameter_groups(self):
            (group,) = super().parameter_groups()
            first, *rest = group["params"]
            return [{"params": [first], "weight_decay": 0.0}, {"params": rest}]

    config = Config.create("smoke", weight_decay=0.5, device="cpu")
    groups = set_up(config, Undecayed(config)).optimizer.param_groups
    (alone,) = (g for g in groups if len(g["params"]) == 1)
    assert alone["weight_decay"] == 0.0
    assert {g["weight_decay"] for g in groups if g is not alone} == {0.5}


@pytest.mark.parametrize(
    "wrong", [nn.Linear, Mine.__name__, object, type("Nameless", (Method,), {})]
)
def test_what_is_no_method_is_refused(wrong, load_smoke, tmp_path):
    config, images = load_smoke(output_dir=str(tmp_path))
    with pytest.raises(ValueError, match="method=.* is not valid; it must be a class made from"):
        train(config, images, method=wrong)


@pytest.fixture
def load_smoke():
    from simclr_lib import data

    def load(**parameters):
        config = Config.create("smoke", precision="fp32", num_images=64, **parameters)
        return config, data.load(config)

    return load


def test_an_encoder_that_is_not_trained_refuses_training(load_smoke, tmp_path):
    config, images = load_smoke(method="random", output_dir=str(tmp_path))
    with pytest.raises(ValueError, match="method='random' is not valid.*not trained"):
        train(config, images)
