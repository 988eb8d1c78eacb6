"""What we say that our recorded runs show, they show; what we say that they do not, they do not."""

from __future__ import annotations

import pytest

from tests import claims


@pytest.mark.parametrize("claim", [*claims.CLAIMS, *claims.FEW], ids=lambda claim: claim.words)
def test_a_claim_is_shown_or_not_as_we_say(claim):
    found = claims.judge(claim)
    assert min(found.seeds) >= 3, found
    assert found.shown == claim.shown, found


def test_a_claim_can_fail():
    wrong = claims.CLAIMS[0]._replace(more=claims.CROP, less={})
    assert not claims.judge(wrong).shown
