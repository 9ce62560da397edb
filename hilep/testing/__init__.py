"""The conformance suite: the laws that every crossbar is held to, a lab's own included.

Subclass `CrossbarLaws` in a test file and run pytest on it; see `docs/your-own-backend.md`.
"""

from __future__ import annotations

import pytest

_LAWS = "specimen programming updates phases equilibria statistics batches interleaving resuming"
# Before these modules are loaded, so that a failed law shows the numbers that broke it.
pytest.register_assert_rewrite(*(f"hilep.testing.{module}" for module in _LAWS.split()))

from hilep.testing.equilibrium import equilibrium  # noqa: E402
from hilep.testing.laws import CrossbarLaws  # noqa: E402

__all__ = ["CrossbarLaws", "equilibrium"]
