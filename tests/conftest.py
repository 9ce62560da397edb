"""Fixtures of the bench: a scripted instrument on loopback, and locks in a folder of the test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

if TYPE_CHECKING:
    from line_server import LineServer, Output

# How long an example takes depends on what else the machine does.
settings.register_profile("hilep", deadline=None)
settings.load_profile("hilep")


@pytest.fixture
def output() -> Output:
    from line_server import Output

    return Output()


@pytest.fixture
def server(output: Output, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LineServer]:
    from line_server import LineServer

    from hilep.instruments import locks

    monkeypatch.setattr(locks, "lock_folder", lambda: tmp_path)
    with LineServer(output) as served:
        yield served
