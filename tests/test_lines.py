"""Arrays with line resistance: against star-mesh elimination and Kirchhoff's and Ohm's laws."""

from __future__ import annotations

import numpy as np
import pytest
from dense_lines import Resistors
from hypothesis import given, settings
from hypothesis import strategies as st

from hilep.errors import BadInputError, NotSettledError
from hilep.simulators.circuit.lines import LineArray

SHAPES = [(1, 1), (1, 5), (5, 1), (6, 4), (4, 6), (5, 5)]
RESISTANCES = [
    (word, bit, lead) for word in (0.0, 0.4) for bit in (0.0, 0.9) for lead in (0.0, 1.5, "each")
]


def drawn(shape, lead, seed=0, scale=1.0, zeros=0.2):
    """Random cells, some of them open, and leads."""
    generator = np.random.default_rng(seed)
    g = scale * generator.uniform(0.1, 1.0, shape)
    g[generator.random(shape) < zeros] = 0.0
    if lead == "each":
        lead = generator.uniform(0.1, 2.0, shape[0]) * (generator.random(shape[0]) < 0.6)
    return g, lead, generator


def dense(g, word_ohm, bit_ohm, lead):
    m, n = g.shape
    circuit = Resistors()
    ports = [("pre", i) for i in range(m)] + [("post", j) for j in range(n)]
    circuit.array(g, word_ohm, bit_ohm, lead, ports[:m], ports[m:])
    return circuit, ports


def whole(array: LineArray) -> np.ndarray:
    """The admittance of all ports, as one matrix."""
    pre, transfer, post = array.ports()
    assert (pre.ndim, post.ndim) == (1 + array.joins_pre, 1 + array.joins_post)
    pre, post = (np.diag(a) if a.ndim == 1 else a for a in (pre, post))
    return np.block([[pre, -transfer], [-transfer.T, post]])


def matches_star_mesh(g, word_ohm, bit_ohm, lead, rel) -> None:
    circuit, ports = dense(g, word_ohm, bit_ohm, lead)
    between = circuit.star_mesh(ports)
    expected = np.diag(between.sum(axis=1)) - between
    got = whole(LineArray(g, word_ohm, bit_ohm, lead))
    np.testing.assert_allclose(got, expected, rtol=rel, atol=rel * 1e-3 * between.max(initial=0))


@pytest.mark.parametrize("scale", [1e-7, 1.0, 1e4])
@pytest.mark.parametrize(("word_ohm", "bit_ohm", "lead"), RESISTANCES)
@pytest.mark.parametrize("shape", SHAPES)
def test_ports_are_those_of_star_mesh_elimination(shape, word_ohm, bit_ohm, lead, scale):
    g, lead, _ = drawn(shape, lead, scale=scale)
    matches_star_mesh(g, word_ohm, bit_ohm, lead, 1e-11)


@settings(max_examples=60, deadline=None)
@given(
    m=st.integers(1, 6),
    n=st.integers(1, 6),
    exponents=st.tuples(*[st.floats(-12, 8)] * 3),
    used=st.tuples(*[st.booleans()] * 3),
    seed=st.integers(0, 2**32 - 1),
)
def test_any_ohms_beside_any_siemens(m, n, exponents, used, seed):
    word, bit, lead = (10.0**e if u else 0.0 for e, u in zip(exponents, used, strict=True))
    g, lead, _ = drawn((m, n), lead, seed)
    matches_star_mesh(g, word, bit, lead, 1e-9)


@pytest.mark.parametrize("ohm", [30.0, 1e3])
def test_lines_so_long_that_nothing_arrives(ohm):
    g, lead, _ = drawn((4, 60), 0.0, seed=3)
    matches_star_mesh(g, ohm, 0.0, lead, 1e-9)
    matches_star_mesh(g, ohm, 1e-3, lead, 1e-9)
    matches_star_mesh(g.T, 1e-3, ohm, lead, 1e-9)


@pytest.mark.parametrize(("word_ohm", "bit_ohm", "lead"), RESISTANCES)
@pytest.mark.parametrize("shape", SHAPES)
def test_volts_are_those_of_the_nodal_matrix(shape, word_ohm, bit_ohm, lead):
    g, lead, generator = drawn(shape, lead)
    if word_ohm == 0 or bit_ohm == 0 or np.any(lead):
        g += 0.05  # no node without any conductance, which the nodal matrix cannot solve
    (m, n), circuit_ports = shape, dense(g, word_ohm, bit_ohm, lead)
    known = generator.normal(size=(3, m + n))
    volts = circuit_ports[0].volts(circuit_ports[1], known)
    solution = LineArray(g, word_ohm, bit_ohm, lead).solve(known[:, :m], known[:, m:])
    for kind, got in (("w", solution.word_volts), ("b", solution.bit_volts)):
        for i, j in np.ndindex(m, n):
            expected = volts[circuit_ports[0].node((kind, 0, i, j))]
            np.testing.assert_allclose(got[:, i, j], expected, rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize(("word_ohm", "bit_ohm", "lead"), RESISTANCES)
@pytest.mark.parametrize("shape", [*SHAPES, (40, 17), (17, 40)])
def test_kirchhoff_at_every_node_and_ohm_in_every_branch(shape, word_ohm, bit_ohm, lead):
    g, lead, generator = drawn(shape, lead, seed=2)
    array = LineArray(g, word_ohm, bit_ohm, lead)
    pre, post = generator.normal(size=(4, shape[0])), generator.normal(size=(4, shape[1]))
    got = array.solve(pre, post)
    small = {"rtol": 0, "atol": 1e-13 * np.abs(got.word_amps).max() * max(shape)}
    beyond = np.concatenate([got.word_amps[:, :, 1:], np.zeros_like(pre)[:, :, None]], axis=2)
    np.testing.assert_allclose(got.word_amps - beyond, got.cell_amps, **small)
    above = np.concatenate([np.zeros_like(post)[:, None], got.bit_amps[:, :-1]], axis=1)
    np.testing.assert_allclose(got.bit_amps - above, got.cell_amps, **small)
    np.testing.assert_allclose(g * (got.word_volts - got.bit_volts), got.cell_amps, **small)
    before = np.concatenate([pre[:, :, None], got.word_volts[:, :, :-1]], axis=2)
    ohm = np.full(shape, word_ohm)
    ohm[:, 0] += lead
    np.testing.assert_allclose(before - got.word_volts, ohm * got.word_amps, **small)
    after = np.concatenate([got.bit_volts[:, 1:], post[:, None]], axis=1)
    np.testing.assert_allclose(got.bit_volts - after, bit_ohm * got.bit_amps, **small)


@pytest.mark.parametrize(("word_ohm", "bit_ohm", "lead"), RESISTANCES)
@pytest.mark.parametrize("shape", [*SHAPES, (150, 9), (9, 150)])
def test_ports_inflow_and_solution_agree(shape, word_ohm, bit_ohm, lead):
    g, lead, generator = drawn(shape, lead, seed=4)
    array = LineArray(g, word_ohm, bit_ohm, lead)
    siemens = whole(array)
    m = shape[0]
    volts = generator.normal(size=(3, sum(shape)))
    amps = volts @ siemens
    got = array.solve(volts[:, :m], volts[:, m:])
    close = {"rtol": 0, "atol": 1e-12 * np.abs(amps).max()}
    np.testing.assert_allclose(got.word_amps[:, :, 0], amps[:, :m], **close)
    np.testing.assert_allclose(-got.bit_amps[:, -1], amps[:, m:], **close)
    np.testing.assert_allclose(array.inflow(volts[:, :m]), volts[:, :m] @ -siemens[:m, m:], **close)
    again = LineArray(g, word_ohm, bit_ohm, lead)
    diagonal = again.post_siemens.ndim == 1
    alone = np.diag(again.post_siemens) if diagonal else again.post_siemens
    np.testing.assert_array_equal(alone, siemens[m:, m:])


@pytest.mark.parametrize(("word_ohm", "bit_ohm", "lead"), RESISTANCES)
@pytest.mark.parametrize("shape", [*SHAPES, (150, 9), (9, 150)])
def test_ports_are_a_network_of_resistors(shape, word_ohm, bit_ohm, lead):
    g, lead, _ = drawn(shape, lead, seed=5)
    siemens = whole(LineArray(g, word_ohm, bit_ohm, lead))
    np.testing.assert_array_equal(siemens, siemens.T)
    between = siemens - np.diag(siemens.diagonal())
    assert between.max() <= 0
    leak = siemens.sum(axis=1)
    np.testing.assert_allclose(leak, 0, atol=1e-14 * siemens.max())


@pytest.mark.parametrize("lead", [0.0, 0.7])
def test_towards_no_resistance_the_error_is_in_proportion(lead):
    g, _, generator = drawn((9, 7), 0.0, seed=6)
    pre, post = generator.normal(size=(2, 9)), generator.normal(size=(2, 7))
    ideal = LineArray(g, 0.0, 0.0, lead).solve(pre, post)
    off = []
    for ohm in (1e-7, 2e-7):
        solution = LineArray(g, ohm, 3 * ohm, lead).solve(pre, post)
        off.append([a - b for a, b in zip(parts(solution), parts(ideal), strict=True)])
    for one, two in zip(*off, strict=True):
        np.testing.assert_allclose(two, 2 * one, rtol=0, atol=1e-4 * np.abs(one).max())
        assert 0 < np.abs(one).max() < 1e-3


def parts(solution):
    names = ("word_volts", "bit_volts", "cell_amps", "word_amps", "bit_amps")
    return [getattr(solution, name) for name in names]


def test_superposition_and_one_image_at_a_time():
    g, lead, generator = drawn((8, 5), "each", seed=7)
    array = LineArray(g, 0.2, 0.3, lead)
    pre, post = generator.normal(size=(3, 8)), generator.normal(size=(3, 5))
    both = parts(array.solve(pre, post))
    for whole_, a, b in zip(
        both, parts(array.solve(pre)), parts(array.solve(0 * pre, post)), strict=True
    ):
        np.testing.assert_allclose(whole_, a + b, rtol=0, atol=1e-14 * np.abs(whole_).max())
    for image in range(3):
        one = parts(array.solve(pre[image : image + 1], post[image : image + 1]))
        for whole_, single in zip(both, one, strict=True):
            close = 1e-14 * np.abs(whole_).max()
            np.testing.assert_allclose(whole_[image], single[0], rtol=0, atol=close)


@pytest.mark.parametrize("shape", [(6, 6), (7, 4)])
def test_seen_from_the_post_ports_it_is_the_array_turned(shape):
    g, _, generator = drawn(shape, 0.0, seed=8)
    one, other = LineArray(g, 0.3, 0.5), LineArray(g[::-1, ::-1].T, 0.5, 0.3)
    pre, post = generator.normal(size=(2, shape[0])), generator.normal(size=(2, shape[1]))
    (a, transfer, b), (c, turned, d) = one.ports(), other.ports()
    np.testing.assert_allclose(a, d[::-1, ::-1], rtol=1e-13)
    np.testing.assert_allclose(b, c[::-1, ::-1], rtol=1e-13)
    np.testing.assert_allclose(transfer, turned[::-1, ::-1].T, rtol=1e-13)
    first, second = one.solve(pre, post), other.solve(post[:, ::-1], pre[:, ::-1])
    np.testing.assert_allclose(
        first.word_volts, second.bit_volts[:, ::-1, ::-1].transpose(0, 2, 1), atol=1e-14
    )
    np.testing.assert_allclose(
        first.bit_amps, -second.word_amps[:, ::-1, ::-1].transpose(0, 2, 1), atol=1e-14
    )


def test_no_image_is_no_answer():
    for shape in ((4, 3), (3, 4)):
        array = LineArray(np.ones(shape), 0.1, 0.1)
        assert array.inflow(np.zeros((0, shape[0]))).shape == (0, shape[1])
        assert array.solve(np.zeros((0, shape[0]))).cell_amps.shape == (0, *shape)


def test_open_cells_draw_nothing():
    array = LineArray(np.zeros((4, 3)), 0.5, 0.5, 1.0)
    assert not whole(array).any()
    solution = array.solve(np.ones((2, 4)), 2 * np.ones((2, 3)))
    assert (solution.word_volts == 1).all()
    assert (solution.bit_volts == 2).all()
    assert not solution.cell_amps.any()


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        (([[1.0, -1e-9]],), "entry (0, 1) is -1e-09, expected >= 0"),
        (([[1.0, np.nan]],), "entry (0, 1) is nan"),
        (([1.0],), "expected shape"),
        ((np.zeros((0, 3)),), "at least one cell"),
        (([[1.0]], -1.0), "word_ohm"),
        (([[1.0]], 0.0, np.inf), "bit_ohm"),
        (([[1.0]], 0.0, 0.0, -1.0), "lead_ohm"),
        (([[1.0]], 0.0, 0.0, [1.0, 2.0]), "lead_ohm"),
    ],
)
def test_bad_input_is_named(arguments, what):
    with pytest.raises(BadInputError) as error:
        LineArray(*arguments)
    assert what in str(error.value)


def test_bad_volts_are_named():
    array = LineArray([[1.0, 2.0]], 0.1, 0.1)
    for wrong in (lambda: array.inflow([[1.0, 2.0]]), lambda: array.solve([[np.inf]])):
        with pytest.raises(BadInputError, match="array pre_volts"):
            wrong()
    with pytest.raises(BadInputError, match="array post_volts"):
        array.solve([[1.0]], [[1.0]])


@pytest.mark.parametrize("ohms", [(1e200, 0.0), (0.0, 1e200), (1e200, 1e200)])
def test_numbers_beyond_float64_are_refused(ohms):
    with pytest.raises(NotSettledError, match="range of float64"):
        LineArray(np.full((3, 3), 1e200), *ohms)
