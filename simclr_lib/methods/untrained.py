"""Random: an encoder that is not trained, the baseline below every method."""

from __future__ import annotations

from .method import Method


class Untrained(Method):
    """Only the encoder, as it is made; training it is refused."""

    name, trained, passes = "random", False, 0.0
