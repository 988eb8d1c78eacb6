"""What the papers find, and whether our recorded runs on the embedded data show it.

A claim is that one kind of run is better than another. It is *shown* if the means over the seeds
differ by more than two standard errors, with three seeds or more. The README has the table.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import pandas as pd

from simclr_lib import runs
from simclr_lib.config import Config
from simclr_lib.runs import Difference

QUICK = Config.create("quick")
# With few labels every side has these rates for a batch of 256, and of each seed the one that is
# best on validation; and the longer training, which notebook 10 finds the better one every time.
RATES = (0.025, 0.15, 0.9)
EPOCHS = {0.01: 60, 0.1: 30, 1.0: 8}


class Claim(NamedTuple):
    """`more` and `less`: what the two kinds of runs change of `quick`."""

    words: str
    source: str  # where a paper says so; "" if it is about our own data
    more: dict[str, Any]
    less: dict[str, Any]
    shown: bool  # whether we say that our runs show it
    paired: bool = False  # seed by seed: sides share the pretraining or the labels of a seed


SIX, LOW, HIGH = {"epochs": 6}, {"temperature": 0.05}, {"temperature": 1.0}
COLOR, CROP = {"augmentations": "flip+color"}, {"augmentations": "crop+flip"}
CLAIMS = (
    Claim("crop and colour before crop alone", "Figure 5", {}, CROP, True),
    Claim("crop and colour before colour alone", "Figure 5", {}, COLOR, True),
    Claim("untrained before crop alone", "", {"method": "random"}, CROP, True),
    Claim("SimCLR before untrained", "", {}, {"method": "random"}, True),
    Claim("supervised before SimCLR", "Table 6", {"method": "supervised"}, {}, True),
    Claim("colour of strength 1/2 before 1/8", "Table 1", {}, {"color_strength": 0.125}, False),
    Claim("colour of strength 1 before 1/2", "Table 1", {"color_strength": 1.0}, {}, False),
    Claim("temperature 0.2 before 0.05", "Table 5", {}, LOW, False),
    Claim("temperature 0.2 before 1", "Table 5", {}, HIGH, False),
    Claim("six epochs: temperature 0.2 before 0.05", "Table 5", SIX, SIX | LOW, True),
    Claim("six epochs: temperature 0.2 before 1", "Table 5", SIX, SIX | HIGH, False),
    Claim("three epochs before two", "Figure 9", {}, {"epochs": 2}, False),
    Claim("six epochs before three", "Figure 9", SIX, {}, True),
    Claim("a batch of 64 before 32", "Figure 9", {"batch_size": 64}, {}, False),
    Claim("width 1 before 0.5", "Figure 7", {}, {"width": 0.5}, True),
    Claim("width 2 before 1", "Figure 7", {"width": 2.0}, {}, True),
    Claim("nonlinear head before linear", "Figure 8", {}, {"head_layers": 1}, False),
    Claim("nonlinear head before none", "Figure 8", {}, {"head_layers": 0}, False),
    Claim("NT-Xent before NT-Logistic", "Table 4", {}, {"loss": "nt_logistic"}, False),
    Claim("NT-Xent before the margin loss", "Table 4", {}, {"loss": "margin_triplet"}, False),
)


def tuned(share: float, **change: Any) -> dict[str, Any]:
    """A kind of fine-tuning with a share of the labels, at any of the rates."""
    own = {"method": "fine-tune", "label_share": share, "finetune_epochs": EPOCHS[share]}
    return own | change


def from_stage(stage: int, share: float, **change: Any) -> dict[str, Any]:
    """Fine-tuning from a stage of SimCLR v2's head of three layers."""
    return tuned(share, head_layers=3, finetune_from=stage, epochs=6, **change)


def distilled(share: float, **change: Any) -> dict[str, Any]:
    """A student of width 1, taught on all images by a teacher of width 2 with a share of labels."""
    own = from_stage(1, share, method="distill", teacher_width=2.0, distill_epochs=3)
    return own | {"finetune_learning_rate": MIDDLE} | change


ALONE, MIDDLE = {"start": "random"}, 0.15
LARGEST, LONG = 0.9, {"finetune_epochs": 300}
ONE, TEN, ALL = 0.01, 0.1, 1.0
FEW = (
    Claim("1 %: fine-tuned before from scratch", "Table 7", tuned(ONE), tuned(ONE, **ALONE), True),
    Claim(
        "10 %: fine-tuned before from scratch", "Table 7", tuned(TEN), tuned(TEN, **ALONE), False
    ),
    Claim(
        "1 %: from the first layer before h",
        "v2, Figure 5",
        from_stage(1, ONE),
        from_stage(0, ONE),
        True,
        True,
    ),
    Claim(
        "10 %: from the first layer before h",
        "v2, Figure 5",
        from_stage(1, TEN),
        from_stage(0, TEN),
        True,
        True,
    ),
    Claim("10 %: from z before h", "", from_stage(3, TEN), from_stage(0, TEN), True, True),
    Claim("1 %: from z before h", "", from_stage(3, ONE), from_stage(0, ONE), True, True),
    Claim(
        "100 %: from h before the first layer",
        "v2, Figure 5",
        from_stage(0, ALL),
        from_stage(1, ALL),
        False,
        True,
    ),
    Claim(
        "100 %: from h before z",
        "v2, Figure 5",
        from_stage(0, ALL),
        from_stage(3, ALL),
        False,
        True,
    ),
    Claim(
        "1 %: width 2 before 1",
        "v2, Figure 1",
        from_stage(1, ONE, width=2.0),
        from_stage(1, ONE),
        False,
    ),
    Claim(
        "1 %: width 2 before 0.5, from h",
        "v2, Figure 1",
        tuned(ONE, width=2.0),
        tuned(ONE, width=0.5),
        True,
    ),
    Claim(
        "1 %: width 2 before 1, from h", "v2, Figure 1", tuned(ONE, width=2.0), tuned(ONE), False
    ),
    Claim(
        "10 %: width 2 before 1, from h", "v2, Figure 1", tuned(TEN, width=2.0), tuned(TEN), True
    ),
    Claim(
        "10 %: width 2 before 1",
        "v2, Figure 1",
        from_stage(1, TEN, width=2.0),
        from_stage(1, TEN),
        False,
    ),
    Claim(
        "1 %: taught by a wide network, for long, before fine-tuned",
        "v2, Table 3",
        distilled(ONE, student_start="random", distill_epochs=12),
        from_stage(1, ONE, finetune_learning_rate=MIDDLE),
        True,
        True,
    ),
    Claim(
        "1 %: the same before fine-tuned for 300 epochs",
        "v2, Table 3",
        distilled(ONE, student_start="random", distill_epochs=12),
        from_stage(1, ONE, finetune_learning_rate=MIDDLE) | LONG,
        False,
        True,
    ),
    Claim(
        "1 %, 300 epochs: fine-tuned before from scratch",
        "Table 7",
        from_stage(1, ONE, finetune_learning_rate=MIDDLE) | LONG,
        tuned(ONE, finetune_learning_rate=LARGEST, **ALONE) | LONG,
        True,
    ),
    Claim(
        "1 %: the same before its teacher, twice as wide",
        "",
        distilled(ONE, student_start="random", distill_epochs=12),
        from_stage(1, ONE, finetune_learning_rate=MIDDLE, width=2.0),
        True,
        True,
    ),
    Claim(
        "10 %: taught by the wide network before fine-tuned",
        "v2, Table 3",
        distilled(TEN),
        from_stage(1, TEN, finetune_learning_rate=MIDDLE),
        False,
        True,
    ),
    *(
        Claim(
            f"{100 * share:g} %: taught by itself before fine-tuned",
            "v2, Figure 6",
            distilled(share, teacher_width=0.0, distill_temperature=0.1),
            from_stage(1, share, finetune_learning_rate=MIDDLE),
            False,
            True,
        )
        for share in (ONE, TEN)
    ),
)


def jobs_of(side: dict[str, Any]) -> list[Config]:
    """The runs of one side of a claim: with few labels one for every rate."""
    if side.get("method") != "fine-tune" or "finetune_learning_rate" in side:
        return [QUICK.replace(**side)]
    return [QUICK.replace(**side, finetune_learning_rate=rate) for rate in RATES]


def judge(claim: Claim) -> Difference:
    """How much better the one kind is, in points of linear evaluation, over the recorded seeds; of
    networks that answer themselves, in points of what they say."""
    more, less = jobs_of(claim.more), jobs_of(claim.less)
    few = "label_share" in claim.more
    metrics = ("accuracy", "validation") if few else ("linear",)
    found = runs.table(
        [*more, *less], metrics=metrics, side=lambda job: "more" if job in more else "less"
    )
    found = runs.chosen(found, "side") if few else found
    return runs.difference(found, "side", "more", "less", metrics[0], paired=claim.paired)


def h_against_z() -> Difference:
    """The same for the two places where one network can be read: h, and z = g(h)."""
    table = runs.table([QUICK])
    at_z = table.assign(linear=table.linear_z, place="z")
    return runs.difference(pd.concat([table.assign(place="h"), at_z]), "place", "h", "z")
