"""The README's tables, from the committed records: `python -m tests.readme` writes them into it.

`test_project.py` holds the README to them.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from benchmarks.__main__ import report
from simclr_lib import runs
from simclr_lib.config import Config
from simclr_lib.paper import published
from simclr_lib.runs import records
from tests import claims, house, times

ROOT = Path(__file__).parent.parent
QUICK, LAPTOP = Config.create("quick"), Config.create("laptop")


def cell(job: Config, metric: str = "linear") -> str:
    """Mean and deviation over the seeds of one run, percent, or "not run"."""
    values = runs.table([job])[metric].dropna()
    if not len(values):
        return "not run"
    spread = f" ± {values.std():.1f}" if len(values) > 1 else ""
    return f"{values.mean():.1f}{spread} ({len(values)})"


def row(*cells: str) -> str:
    return "| " + " | ".join(cells) + " |"


def results() -> str:
    """Encoders without labels, beside an untrained one and one trained with labels."""
    lines = [
        row("data", "encoder, epochs", "random", "SimCLR", "SimCLR, crop alone", "supervised"),
        row(*["---"] * 6),
    ]
    bases = [("embedded", QUICK.replace(width=w)) for w in (0.5, 1.0, 2.0)]
    bases += [("CIFAR-10 (JPEG copy)", LAPTOP.replace(epochs=e)) for e in (6, 30)]
    for name, base in bases:
        channels = base.base_channels * base.width
        jobs = runs.grid(base, method=["random", "SimCLR"])
        jobs += [base.replace(augmentations="crop+flip"), base.replace(method="supervised")]
        cells = [cell(job) for job in jobs]
        if cells[1:] != ["not run"] * 3:
            encoder = f"ResNet-18 of {channels:g} channels, {base.epochs}"
            lines.append(row(name, encoder, *cells))
    return "\n".join(lines)


def _paper(entry: str, **where: object) -> str:
    (value,) = published(entry, **where)
    about = "≈ " if value["confidence"] == "digitized" else ""
    return f"{about}{value['value']:.1f}"


def ablations() -> str:
    """One change at a time: what is changed, embedded data, CIFAR-10, the paper."""
    five = {"metric": "linear_top1", "l2_norm": True}
    changes: list[tuple[str, dict, str, str]] = [
        ("crop and colour (default)", {}, "linear", "-"),
        ("crop alone", {"augmentations": "crop+flip"}, "linear", "-"),
        ("colour alone", {"augmentations": "flip+color"}, "linear", "-"),
        ("blur alone", {"augmentations": "flip+blur"}, "linear", "-"),
        ("crop and blur", {"augmentations": "crop+flip+blur"}, "linear", "-"),
        ("neither (flip only)", {"augmentations": "flip"}, "linear", "-"),
        *(
            (f"colour strength {name}", {"color_strength": s}, "linear", _paper(
                "v1_table1", method="simclr", color_strength=name))
            for name, s in (("1/8", 0.125), ("1/2", 0.5), ("1", 1.0))
        ),
        *(
            (f"head: {name}", {"head_layers": layers}, "linear", _paper(
                "v1_fig8", head=name, output_dim=2048 if name == "none" else 128))
            for name, layers in (("nonlinear", 2), ("linear", 1), ("none", 0))
        ),
        ("read from z instead of h", {}, "linear_z", "> 10 lower"),
        *(
            (f"temperature {t:g}", {"temperature": t}, "linear", "-" if t == 0.2 else _paper(
                "v1_table5", temperature=1 if t == 1 else t, **five))
            for t in (0.05, 0.1, 0.2, 0.5, 1.0)
        ),
        *(
            (f"loss: {name}", {"loss": loss}, "linear", _paper("v1_table4", loss=name))
            for name, loss in (
                ("nt_logistic", "nt_logistic"), ("margin", "margin_triplet"),
                ("nt_logistic (sh)", "nt_logistic_semi_hard"),
                ("margin (sh)", "margin_triplet_semi_hard"),
            )
        ),
        ("width 0.5", {"width": 0.5}, "linear", "-"),
        ("width 2", {"width": 2.0}, "linear", "-"),
    ]  # fmt: skip
    lines = [row("what", "embedded", "CIFAR-10", "paper, ImageNet"), row(*["---"] * 4)]
    for name, change, metric, paper in changes:
        ours = [cell(base.replace(**change), metric) for base in (QUICK, LAPTOP)]
        lines.append(row(name, *ours, paper))
    for embedded, photographs in ((2, 2), (6, 30)):
        jobs = [QUICK.replace(epochs=embedded), LAPTOP.replace(epochs=photographs)]
        name = f"{jobs[0].epochs} epochs (CIFAR-10: {jobs[1].epochs})"
        lines.append(row(name, *map(cell, jobs), "-"))
    return "\n".join(lines)


def findings() -> str:
    """What the paper says, and whether our recorded runs on the embedded data show it."""
    lines = [row("what", "paper", "difference, points", "shown"), row(*["---"] * 4)]
    every = (*claims.CLAIMS, *claims.FEW)
    judged = [(claim.words, claim.source, claims.judge(claim)) for claim in every]
    judged.append(("read from h before z", "Section 4.2", claims.h_against_z()))
    for words, source, found in judged:
        lines.append(row(words, source or "-", str(found), "yes" if found.shown else "no"))
    return "\n".join(lines)


WAYS = {
    "from scratch": {"start": "random"},
    "linear probe": {"fine_tune_after_block": 4},
    "fine-tuned from h": {},
}
SHARES: dict[str, dict[str, Any]] = {
    "one a class": {"labels_per_class": 1},
    "1 %": {"label_share": 0.01},
    "10 %": {"label_share": 0.1},
    "100 %": {"label_share": 1.0},
}


def few_labels() -> str:
    """On the embedded data, two lengths and three rates to choose from."""
    lengths = {"one a class": (60, 240), "1 %": (15, 60), "10 %": (8, 30), "100 %": (2, 8)}
    return by_share(QUICK, lengths, claims.RATES)


def few_labels_of_cifar() -> str:
    """The same of the narrower network of `laptop`: one length, two rates."""
    lengths = {"1 %": (60,), "10 %": (30,), "100 %": (3,)}
    return by_share(LAPTOP.replace(width=0.5), lengths, claims.RATES[:2])


def by_share(base: Config, lengths: dict[str, tuple[int, ...]], rates: tuple[float, ...]) -> str:
    """Fine-tuning and what it is held against, the best rate and length of each on validation."""
    lines = [row("labels", *lengths), row(*["---"] * (len(lengths) + 1))]
    for way, how in WAYS.items():
        cells = []
        for share, epochs in lengths.items():
            one = base.replace(method="fine-tune", **how, **SHARES[share])
            jobs = runs.grid(one, finetune_epochs=epochs, finetune_learning_rate=rates)
            found = runs.table(jobs, metrics=("accuracy", "validation"))
            best = runs.chosen(found, "method").accuracy
            spread = f" ± {best.std():.1f}" if len(best) > 1 else ""
            cells.append(f"{best.mean():.1f}{spread} ({len(best)})")
        lines.append(row(way, *cells))
    return "\n".join(lines)


def speed() -> str:
    return report(json.loads((ROOT / "benchmarks" / "results.json").read_text()))


def library() -> str:
    """Every file of the library once, in reading order: the path first, then floor by floor."""
    lines, length = [], sum(map(house.lines, house.PATH))
    lines.append(f"To understand SimCLR, {length:,} lines:\n")
    for name in house.order():
        if name == house.order()[len(house.PATH)]:
            lines.append("\nWhat runs it, from the ground up:\n")
        about = house.about(name)
        lines.append(f"* `{house.shown(name)}`: {about}{'' if about[-1] in '?)' else '.'}")
    return "\n".join(lines)


TABLES = {
    "library": library,
    "results": results,
    "ablations": ablations,
    "findings": findings,
    "few labels": few_labels,
    "few labels of CIFAR-10": few_labels_of_cifar,
    "times": times.table,
    "speed": speed,
}


def parts(text: str, name: str) -> tuple[str, str, str]:
    """The README before a table, the table between its marks, and what comes after."""
    return re.search(
        rf"(.*<!-- {name}:.*?-->\n)(.*)(\n<!-- end of {name} -->.*)", text, re.S
    ).groups()


def shown(text: str, name: str) -> str:
    """A table as the README has it."""
    return parts(text, name)[1].strip()


if __name__ == "__main__":
    path = ROOT / "README.md"
    text = path.read_text()
    for name, table in TABLES.items():
        before, _, after = parts(text, name)
        text = before + table().strip() + after
    path.write_text(text)
    print(f"{len(records.read())} records")
