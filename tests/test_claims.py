"""What we say that our recorded runs show, they show; what we say that they do not, they do not."""

from __future__ import annotations

import pytest

from simclr_lib import runs
from simclr_lib.config import Config
from tests import claims, readme


@pytest.mark.parametrize("claim", [*claims.CLAIMS, *claims.FEW], ids=lambda claim: claim.words)
def test_a_claim_is_shown_or_not_as_we_say(claim):
    found = claims.judge(claim)
    assert min(found.seeds) >= 3, found
    assert found.shown == claim.shown, found


def test_a_claim_can_fail():
    wrong = claims.CLAIMS[0]._replace(more=claims.CROP, less={})
    assert not claims.judge(wrong).shown


def test_on_cifar_10_each_way_has_a_rate_of_its_own():
    few = Config.create("laptop", width=0.5, method="fine-tune")
    for share, epochs in ((0.01, 60), (0.1, 30), (1.0, 3)):
        for way, best in ((readme.WAYS["from scratch"], 0.15), (readme.WAYS["linear probe"], 0.025),
                          (readme.WAYS["fine-tuned from h"], 0.025)):  # fmt: skip
            one = few.replace(label_share=share, finetune_epochs=epochs, **way)
            jobs = runs.grid(one, finetune_learning_rate=claims.RATES[:2])
            found = runs.table(jobs, "finetune_learning_rate", metrics=("accuracy", "validation"))
            chosen = runs.chosen(found, "method")
            assert len(chosen) >= 1
            assert (chosen.finetune_learning_rate == best).all(), (share, way)
