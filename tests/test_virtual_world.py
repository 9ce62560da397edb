"""The world of resistors: Kirchhoff's law, limits that limit, and terminals that float."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hilep.errors import BadInputError
from hilep.simulators.virtual.clock import Clock
from hilep.simulators.virtual.converter import Converter
from hilep.simulators.virtual.resistors import ResistorWorld
from hilep.simulators.virtual.world import Drive, SwitchedWorld, World


def state(world: World):
    return world.measure(world.terminals, 0.0, np.random.default_rng(0))


def random_world(generator: np.random.Generator) -> tuple[ResistorWorld, list]:
    names = [f"t{k}" for k in range(6)]
    nodes = [*names, "ground", "inner"]
    resistors = []
    for _ in range(10):
        first, second = generator.choice(nodes, 2, replace=False)
        resistors.append((str(first), str(second), float(10 ** generator.uniform(2, 6))))
    return ResistorWorld(names, resistors, leakage_siemens=1e-10), resistors


@settings(max_examples=80, deadline=None)
@given(st.integers(0, 2**32))
def test_every_source_obeys_its_level_or_its_limit(seed: int) -> None:
    generator = np.random.default_rng(seed)
    world, resistors = random_world(generator)
    drives = {}
    for name in world.terminals:
        kind = str(generator.choice(["volts", "amps", "off"]))
        level = float(generator.normal()) * (1e-4 if kind == "amps" else 1)
        limit = float(10 ** generator.uniform(-6, -3)) if kind == "volts" else 0.5
        drives[name] = Drive(kind, level, limit)
        world.drive(name, drives[name])
    got = state(world)
    volts = dict(zip(world.terminals, got.volts[0], strict=True))
    amps = dict(zip(world.terminals, got.amps[0], strict=True))
    limited = dict(zip(world.terminals, got.limited, strict=True))
    for name, drive in drives.items():
        given, other = volts[name], amps[name]
        if drive.kind == "amps":
            given, other = other, given
        if drive.kind == "off":
            assert amps[name] == 0
            assert not limited[name]
        elif limited[name]:
            assert abs(other) == pytest.approx(drive.limit, rel=1e-6)
            scale = abs(drive.level) + abs(given)
            assert np.sign(other) * (given - drive.level) <= 1e-6 * scale
        else:
            assert given == pytest.approx(drive.level, rel=1e-6, abs=1e-12)
            assert abs(other) <= drive.limit * (1 + 1e-6)
    # Kirchhoff: what the sources give runs to ground through resistors and leakage.
    if not any("inner" in resistor for resistor in resistors):
        to_ground = sum(volts[a if b == "ground" else b] / ohms for a, b, ohms in resistors
                        if "ground" in (a, b))  # fmt: skip
        leaked = 1e-10 * sum(volts.values())
        scale = sum(map(abs, amps.values()))
        assert sum(amps.values()) == pytest.approx(to_ground + leaked, abs=1e-9 * scale)


def test_a_terminal_that_nothing_drives_floats_to_the_weighted_mean_of_its_neighbours() -> None:
    world = ResistorWorld(["a", "b", "out"], [("a", "out", 1e3), ("b", "out", 3e3)])
    world.drive("a", Drive("volts", 1.0, 1.0))
    world.drive("b", Drive("volts", -1.0, 1.0))
    assert state(world).volts[0, 2] == pytest.approx((3 - 1) / 4, rel=1e-8)


def test_a_current_into_an_open_circuit_is_at_its_voltage_limit() -> None:
    world = ResistorWorld(["open"])
    world.drive("open", Drive("amps", -1e-6, 0.5))
    got = state(world)
    assert got.limited[0]
    assert got.volts[0, 0] == -0.5
    world.drive("open", Drive())
    assert state(world).volts[0, 0] == 0


def test_two_sources_against_each_other_share_the_smaller_limit() -> None:
    world = ResistorWorld(["a", "b"], [("a", "b", 1.0)])
    world.drive("a", Drive("volts", 1.0, 1e-3))
    world.drive("b", Drive("volts", -1.0, 2e-3))
    got = state(world)
    assert list(got.limited) == [True, False]
    assert got.amps[0, 0] == pytest.approx(1e-3)
    assert got.volts[0, 1] == -1.0


def test_a_relay_joins_and_parts() -> None:
    world = ResistorWorld(["a", "b"], [("b", "ground", 1e6)])
    assert isinstance(world, SwitchedWorld)
    world.drive("a", Drive("volts", 1.0, 1.0))
    assert state(world).volts[0, 1] == 0
    world.join("a", "b")
    world.join("b", "a")
    assert state(world).volts[0, 1] == pytest.approx(1.0, rel=1e-5)
    world.part("a", "b")
    assert abs(state(world).volts[0, 1]) < 1e-9


@pytest.mark.parametrize(
    "make",
    [
        lambda: ResistorWorld(["a", "a"]),
        lambda: ResistorWorld(["a"], [("a", "ground", 0.0)]),
        lambda: ResistorWorld(["a"]).drive("b", Drive()),
        lambda: Drive("volts", float("nan"), 1.0),
        lambda: Drive("volts", 1.0, 0.0),
    ],
)
def test_bad_input_is_refused(make) -> None:
    with pytest.raises(BadInputError):
        make()


@pytest.mark.parametrize(("nplc", "expected"), [(0.01, 1e-5), (1, 1e-6), (4, 5e-7), (100, 2e-7)])
def test_noise_falls_with_the_root_of_the_integration_time_to_a_floor(
    nplc: float, expected: float
) -> None:
    converter = Converter((1.0,), noise=1e-6, floor=2e-7, step=0.0)
    got = converter.read(np.zeros(20_000), 1.0, nplc, np.random.default_rng(1))
    assert got.std() == pytest.approx(expected, rel=0.03)


def test_gain_offset_steps_and_the_end_of_the_range() -> None:
    converter = Converter((1.0,), noise=0.0, floor=0.0, step=1e-3, gain=1.01, offset=0.002)
    got = converter.read(np.array([0.5, 1.2, -1.2]), 1.0, 1.0, np.random.default_rng(0))
    assert got[0] == pytest.approx(0.507)
    assert np.isnan(got[1:]).all()


def test_the_clock_adds_up_without_sleeping() -> None:
    clock = Clock()
    assert clock.advance(3600.0) == 0.0
    assert clock.now() == 3600.0
