"""Law: a circuit that cannot be is refused in one line that names the key or the node."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from command_line import settings

from hilep.backends import Relaxation
from hilep.cli import run
from hilep.errors import NotSettledError
from hilep.network import Network
from hilep.simulators.circuit.options import CIRCUIT

CIRCUIT_RUN = {"device.backend": '"circuit"', "device.solver": None, "training.updates": "3"}
SIMULATED = {"device.backend": '"simulated"'}
SETTLING = {"device.node_farads": "1e-9", "device.settle_s": "1e-6"}
FLOATING = "dead_columns=[[0, 3]], dead_rows=[[1, 3]]"


def cells(keys, **more):
    return {"device.cells": f"{{{keys}}}", **more}


def junction(keys):
    return {"device.nonlinearity": "junction", "device.junction": f"{{{keys}}}"}


def precision(keys):
    return {"device.nonlinearity": "precision", "device.precision": f"{{{keys}}}"}


# What is set, and words that the one line has to have.
WRONG = [
    *(
        ({f"device.{key}": value}, f"device.{key}")
        for key in ("word_ohm", "bit_ohm", "source_ohm", "node_farads")
        for value in ("-1", "nan", "inf", '"1"', "true")
    ),
    *(({"device.meter_ohm": value}, "device.meter_ohm") for value in ("0", "-1", "nan")),
    ({**SETTLING, "device.settle_s": "0"}, "device.settle_s"),
    ({"device.settle_s": "1e-6"}, "device.settle_s: needs device.node_farads > 0"),
    (SETTLING | cells("nonlinearity_v=1"), "device.settle_s: not with device.cells.nonlinearity_v"),
    # Rectifiers
    ({"device.nonlinearity": "schottky"}, "device.nonlinearity"),
    ({"device.junction": "{ideality=1}"}, 'device.junction: given, but device.nonlinearity is "id'),
    ({"device.precision": "{on_ohm=1}", "device.nonlinearity": "junction"}, "device.precision: gi"),
    (junction("idealty=1"), "device.junction.idealty: unknown key"),
    ({"device.nonlinearity": "junction", "device.junction": "3"}, "device.junction: expected a se"),
    *(
        (junction(f"{key}={value}"), f"device.junction.{key}")
        for key in ("saturation_a", "ideality", "kelvin")
        for value in ("0", "-1", "inf")
    ),
    (junction("ideality=1e-320"), "ideality, kelvin: 1e-320 at 300.0 K"),
    (junction("kelvin=1e-320"), "ideality, kelvin: 1.0 at 1e-320 K"),
    (junction("series_ohm=-1"), "device.junction.series_ohm"),
    (junction("leakage_siemens=-1"), "device.junction.leakage_siemens"),
    (junction("bias_v=inf"), "device.junction.bias_v"),
    (precision("on_ohm=0"), "device.precision.on_ohm"),
    (precision("on_ohm=10, off_siemens=0.1"), "device.precision.off_siemens"),
    (precision("onohm=1"), "device.precision.onohm: unknown key"),
    # Keys of the other backend
    ({"device.solver": "fast"}, "device.solver: unknown key"),
    (SIMULATED | {"device.word_ohm": "1"}, "device.word_ohm: unknown key"),
    (SIMULATED | cells("nonlinearity_v=1"), "device.cells.nonlinearity_v: needs device.backend"),
    # Cells
    (cells("foo=1"), "device.cells.foo: unknown key"),
    ({"device.cells": "3"}, "device.cells: expected a section"),
    *(
        (cells(keys, **backend), f"device.cells.{name}: needs an upper bound")
        for keys, name in (
            ("levels=16", "levels"),
            ('programming="pulses", pulses=10', "pulses"),
            ("stuck_high=0.1", "stuck_high"),
            ("g_max_spread=0.1", "g_max_spread"),
        )
        for backend in ({}, SIMULATED)
    ),
    *(
        (cells(f"{key}=1e308, g_max_siemens=2"), f"device.cells.{key}")
        for key in ("g_min_spread", "g_max_spread", "device_spread_relative", "flicker_relative")
    ),
    (cells("levels=1"), "device.cells.levels"),
    (cells('programming="pulses"'), 'programming = "pulses" needs pulses'),
    (cells("g_max_siemens=1e-3"), "device.cells.g_min_siemens, g_max_siemens"),
    (cells("g_min_siemens=1e-3"), "device.cells.g_min_siemens, g_max_siemens"),
    (cells("dead_rows=[[0, 9]]"), "device.cells.dead_rows: no line 9 in layer 0"),
    (cells("dead_rows=1.5"), "device.cells.dead_rows"),
    (cells("retention_s=1, drift_exponent=0.1"), "give drift or retention"),
    (cells("stuck_low=0.6, stuck_high=0.6"), "stuck_low and stuck_high"),
    (cells("temperature_k=-1"), "device.cells.temperature_k"),
    (cells("bandwidth_hz=1, nonlinearity_v=1"), "device.cells.bandwidth_hz"),
    (cells("bandwidth_hz=1") | {"network.voltage_gain": "2"}, "device.cells.bandwidth_hz"),
]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def ends(values, capsys):
    """(exit status, the last line on standard error, how many lines) of a small run."""
    status = run(["train", *settings({**CIRCUIT_RUN, **values}), "--out", "run.h5"])
    lines = capsys.readouterr().err.splitlines()
    return status, lines[-1], len(lines)


@pytest.mark.parametrize(("values", "words"), WRONG)
def test_what_is_wrong_is_one_line(values, words, folder, capsys):
    status, line, count = ends(values, capsys)
    assert (status, count) == (2, 1)
    assert words in line
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize(
    ("values", "node"),
    [
        (cells(FLOATING), "h1_3"),
        (cells(FLOATING) | {"network.diodes": "none"}, "h1_3"),
        (cells(FLOATING) | {"network.diodes": "none", "network.bias": "none"}, "h1_3"),
        (cells(FLOATING + ", nonlinearity_v=1"), "h1_3"),
        (cells("dead_columns=[[1, 1]]"), "y1"),
        (cells("dead_columns=[[0, 2]], dead_rows=[[1, 2]], bandwidth_hz=1"), "h1_2"),
        (
            SIMULATED | cells(FLOATING + ", bandwidth_hz=1") | {"network.diodes": "none"},
            "h1_3",
        ),
    ],
)
def test_a_node_that_floats_is_named(values, node, folder, capsys):
    status, line, count = ends(values, capsys)
    assert (status, count) == (1, 1)
    assert f"no conductance joins {node} to" in line
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize(
    "besides",
    [{"device.meter_ohm": "1e6", "network.diodes": "none"}, junction("ideality=1"), SETTLING],
    ids=["a meter", "a junction", "a capacitance"],
)
def test_a_node_that_something_else_decides_does_not_float(besides, folder, capsys):
    more = {"network.layers": "[4, 4, 2]", "training.updates": "1", "training.batch_size": "1"}
    status, line, _ = ends(cells(FLOATING) | besides | more, capsys)
    assert status == 0 or "dead: all 4 test images" in line
    assert (folder / "run.h5").exists()


@pytest.mark.parametrize(
    "values",
    [
        {"training.eta": "1e308"},
        {"training.eta_bias": "1e308"},
        {"device.word_ohm": "1e300"},
        SIMULATED | cells("write_noise_relative=0.1") | {"training.eta": "1e308"},
    ],
)
def test_an_update_beyond_float64_is_a_run_that_diverged(values, folder, capsys):
    status, line, _ = ends(values, capsys)
    assert status == 1
    assert "diverged at update 0" in line
    assert "no longer finite" in line


# Exactness ----------------------------------------------------------------------------------------


def exact(network, conductances, inputs, wiring):
    """The free nodes' volts in rational numbers: Gaussian elimination of Kirchhoff's laws."""
    lines = {name: Fraction(wiring.get(name, 0.0)) for name in ("word_ohm", "bit_ohm")}
    source = Fraction(wiring.get("source_ohm", 0.0))
    meter = wiring.get("meter_ohm")
    index, branches, fixed = {}, [], {}

    def node(name):
        return index.setdefault(name, len(index))

    def join(one, other, ohm):
        """Join two nodes, or call them by one name where nothing is between them."""
        branches.append((node(one), node(other), 1 / ohm))

    for layer, g in enumerate(conductances):
        rows, columns = g.shape
        for i, j in np.ndindex(rows, columns):
            word = ("w", layer, i, j) if lines["word_ohm"] else ("s", layer, i)
            if not lines["word_ohm"] and (layer or not source):
                word = ("v", layer, i)
            bit = ("b", layer, i, j) if lines["bit_ohm"] else ("v", layer + 1, j)
            branches.append((node(word), node(bit), Fraction(float(g[i, j]))))
        for i in range(rows):
            lead = Fraction(0) if layer else source
            if lines["word_ohm"]:
                join(("v", layer, i), ("w", layer, i, 0), lead + lines["word_ohm"])
                for j in range(columns - 1):
                    join(("w", layer, i, j), ("w", layer, i, j + 1), lines["word_ohm"])
            elif lead:
                join(("v", layer, i), ("s", layer, i), lead)
        if lines["bit_ohm"]:
            for j in range(columns):
                for i in range(rows - 1):
                    join(("b", layer, i, j), ("b", layer, i + 1, j), lines["bit_ohm"])
                join(("b", layer, rows - 1, j), ("v", layer + 1, j), lines["bit_ohm"])
    free = [("v", k, i) for k, n in enumerate(network.layers[1:], 1) for i in range(n)]
    if meter is not None:
        for name in free:
            join(name, "ground", Fraction(meter))
        fixed[node("ground")] = Fraction(0)
    for i, volts in enumerate(inputs):
        fixed[node(("v", 0, i))] = Fraction(float(volts))
    unknown = [k for k in range(len(index)) if k not in fixed]
    place = {k: at for at, k in enumerate(unknown)}
    table = [[Fraction(0)] * (len(unknown) + 1) for _ in unknown]
    for one, other, siemens in branches:
        for here, there in ((one, other), (other, one)):
            if here in place:
                row = table[place[here]]
                row[place[here]] += siemens
                if there in place:
                    row[place[there]] -= siemens
                else:
                    row[-1] += siemens * fixed[there]
    for k, row in enumerate(table):
        swap = next(m for m in range(k, len(table)) if table[m][k])
        table[k], table[swap] = table[swap], row
        pivot = table[k]
        for m, other in enumerate(table):
            if m != k and other[k]:
                factor = other[k] / pivot[k]
                table[m] = [a - factor * b for a, b in zip(other, pivot, strict=True)]
    return np.array(
        [float(table[place[index[n]]][-1] / table[place[index[n]]][place[index[n]]]) for n in free]
    )


WIRINGS = [
    {},
    {"word_ohm": 1.0, "bit_ohm": 2.0, "source_ohm": 3.0, "meter_ohm": 1e6},
    {"word_ohm": 1e-12, "bit_ohm": 1e9},
    {"bit_ohm": 1e-9, "source_ohm": 1e12},
    {"word_ohm": 1e6, "meter_ohm": 1e-3},
    {"meter_ohm": 1e25},
]


@pytest.mark.parametrize("wiring", WIRINGS, ids=lambda w: " ".join(w) or "none")
@pytest.mark.parametrize("decades", [(-3, 3), (-30, 3), (-15, -12), (-30, -28)])
@pytest.mark.parametrize("layers", [(3, 2), (2, 3, 2)], ids=lambda n: "-".join(map(str, n)))
def test_conductances_of_any_size_are_right_or_refused(layers, decades, wiring):
    """Against exact rational arithmetic: relative to the largest voltage, or refused by name."""
    network = Network(layers, "none", "none")
    for seed in range(3):
        generator = np.random.default_rng(seed)
        conductances = [10.0 ** generator.uniform(*decades, shape) for shape in network.shapes]
        # Side by side, the smallest and the largest there are.
        conductances[0][0, 0], conductances[-1][-1, -1] = 10.0 ** decades[0], 10.0 ** decades[1]
        inputs = generator.normal(0, 3, network.inputs)
        device = CIRCUIT.build(network, CIRCUIT.options.model_validate(wiring), Relaxation())
        device.program(conductances)
        device.clamp(inputs)
        try:
            found = device.read().mean
        except NotSettledError as error:
            refused = str(error)
            assert "h1_" in refused or "y" in refused
            continue
        expected = exact(network, conductances, inputs, wiring)
        assert np.abs(found - expected).max() <= 1e-9 * np.abs(expected).max()


@pytest.mark.parametrize(
    "keys",
    [{}, {"cells": {"nonlinearity_v": 1.0}}, {"node_farads": 1e-9, "settle_s": 1e-6}],
    ids=["at rest", "nonlinear cells", "a short wait"],
)
def test_a_look_at_no_images_is_no_volts(keys):
    network = Network((3, 4, 2))
    device = CIRCUIT.build(network, CIRCUIT.options.model_validate(keys), Relaxation())
    device.program([np.ones(shape) for shape in network.shapes])
    assert device.read_batch(np.zeros((0, 3))).mean.shape == (0, network.free_nodes)
