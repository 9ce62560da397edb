"""The fused kernels equal the plain numpy reference, with the same noise draws."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from circuits import random_bias, simulated
from hypothesis import given, settings
from hypothesis import strategies as st

from hilep.errors import LimitError
from hilep.initial import initial_conductances
from hilep.network import Network
from hilep.nudging import Nudging, beta_difference
from hilep.reading import LayerUpdate, Update
from hilep.rule import LearningRule


def run(
    solver,
    network,
    dtype,
    *,
    batch,
    doubled,
    hint,
    variant,
    kind,
    estimator,
    reads,
    clamped,
    seed,
    updates,
):
    generator = np.random.default_rng(seed)
    device = simulated(
        network,
        solver,
        sigma_v=1e-3,
        clamped_sigma_v=1e-3 if clamped else 0.0,
        dtype=dtype,
        sweeps=5,
        seed=seed,
    )
    device.program(
        initial_conductances(network, generator, "absolute-uniform", dtype=dtype),
        random_bias(network, generator),
    )
    layers = len(network.shapes)
    rule = LearningRule(
        network,
        beta_difference(variant, 0.05),
        [3e-3] * layers,
        [3e-3] * layers,
        estimator,
        reads=reads,
    )
    nudging = Nudging.of(variant, kind, 0.05, "mean", network.outputs)

    def images():
        if not doubled:
            return generator.normal(0, 3, (batch, network.inputs)).astype(np.float32)
        half = generator.normal(0, 3, (batch, network.inputs // 2)).astype(np.float32)
        return np.concatenate([half, -half], axis=1)

    x = images()
    volts = []
    for _ in range(updates):
        t = generator.normal(0, 1, (batch, network.outputs))
        pair = device.free_and_nudged(x, t, nudging, reads, rule.statistic)
        volts.append(np.concatenate([pair.first.mean, pair.second.mean]))
        following = images()
        device.update(rule.blocks(pair), following if hint else None)
        x = following
    look = device.read_batch(x, 2).mean
    return np.array(volts), [np.array(g) for g in device.conductances()], look


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    data=st.data(),
    batch=st.sampled_from([1, 3, 4, 5, 8, 9]),
    doubled=st.booleans(),
    hint=st.booleans(),
    bias=st.sampled_from(["none", "current", "row"]),
    variant=st.sampled_from(["positive", "negative", "centered"]),
    kind=st.sampled_from(["spring", "current"]),
    estimator=st.sampled_from(
        [("square-of-means", 1), ("square-of-means", 9), ("mean-of-squares", 3), ("unbiased", 2)]
    ),
    clamped=st.booleans(),
    seed=st.integers(0, 2**32 - 1),
    precision=st.sampled_from([(np.float64, 1e-11), (np.float32, 2e-4)]),
)
def test_fast_equals_reference(
    data, batch, doubled, hint, bias, variant, kind, estimator, clamped, seed, precision
):
    hidden = data.draw(st.lists(st.integers(1, 12), max_size=3))
    network = Network(
        (2 * data.draw(st.integers(1, 9)), *hidden, data.draw(st.integers(1, 6))),
        "split",
        bias,
        g_min_siemens=0.01,
    )
    dtype, tolerance = precision
    told = {
        "batch": batch,
        "doubled": doubled,
        "hint": hint,
        "variant": variant,
        "kind": kind,
        "estimator": estimator[0],
        "reads": estimator[1],
        "clamped": clamped,
        "seed": seed,
        "updates": 4,
    }
    try:
        fast = run("fast", network, dtype, **told)
    except LimitError:
        # A negative spring stronger than an output: both refuse it.
        with pytest.raises(LimitError):
            run("reference", network, dtype, **told)
        return
    reference = run("reference", network, dtype, **told)
    scale = np.abs(reference[0]).max()
    np.testing.assert_allclose(fast[0], reference[0], rtol=tolerance, atol=tolerance * scale)
    np.testing.assert_allclose(fast[2], reference[2], rtol=tolerance, atol=tolerance * scale)
    for g, h in zip(fast[1], reference[1], strict=True):
        np.testing.assert_allclose(g, h, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("nodes", [255, 256, 257, 700])
def test_layers_longer_than_a_block_of_the_relaxation(nodes):
    network = Network((6, nodes, 3, nodes, 4), "split", "row")
    told = {
        "batch": 4,
        "doubled": True,
        "hint": True,
        "variant": "positive",
        "kind": "spring",
        "estimator": "square-of-means",
        "reads": 1,
        "clamped": False,
        "seed": 1,
        "updates": 2,
    }
    fast = run("fast", network, np.float64, **told)
    reference = run("reference", network, np.float64, **told)
    np.testing.assert_allclose(fast[0], reference[0], rtol=1e-9, atol=1e-12)


def test_a_caller_may_reuse_its_array_of_inputs():
    """The hint is compared by value, so new volts in the same array are seen."""
    network = Network((6, 5, 3), bias="none")
    device = simulated(network, sweeps=5)
    generator = np.random.default_rng(0)
    device.program(initial_conductances(network, generator, "absolute-uniform", dtype=np.float64))
    nudging = Nudging.of("positive", "spring", 0.1, "half-sum", 3)
    rule = LearningRule(network, 0.1, [1e-3] * 2, [1e-3] * 2)
    x, t = generator.normal(0, 1, (4, 6)), np.zeros((4, 3))
    pair = device.free_and_nudged(x, t, nudging)
    device.update(rule.blocks(pair), x)
    x *= -2.0
    seen = device.free_and_nudged(x, t, nudging).first.mean
    np.testing.assert_allclose(seen, device.read_batch(x).mean, rtol=1e-12)


@pytest.mark.parametrize("solver", ["fast", "reference"])
def test_a_nan_is_never_clipped_away(solver):
    """A conductance that is not a number stays visible after an update and in every voltage."""
    network = Network((4, 3, 2), "split", "none", g_max_siemens=1.0)
    device = simulated(network, solver, sweeps=5)
    g = [np.full(shape, 0.5) for shape in network.shapes]
    device.program(g)
    nudging = Nudging.of("positive", "spring", 0.1, "half-sum", 2)
    rule = LearningRule(network, 0.1, [np.inf, 1.0], [1.0, 1.0])
    x = np.array([[1.0, -2.0, 0.5, 0.0]])
    with np.errstate(invalid="ignore"):
        pair = device.free_and_nudged(x, np.array([[0.0, 1.0]]), nudging)
        device.update(rule.blocks(pair), x)
        pair = device.free_and_nudged(x, np.array([[0.0, 1.0]]), nudging)
    assert np.isnan(pair.second.mean).any()


def test_negative_spring_without_equilibrium_is_refused():
    network = Network((4, 3, 2), bias="none")
    device = simulated(network, sweeps=5)
    device.program([np.full(shape, 0.1) for shape in network.shapes])
    with pytest.raises(ValueError, match=r"output 0 has 0\.3 S"):
        device.nudge_spring(-0.31, [0.0, 0.0])


@pytest.mark.parametrize("clamped", [0.0, 1e-5])
@pytest.mark.parametrize(
    ("estimator", "reads"),
    [
        ("square-of-means", 1),
        ("square-of-means", 10**6),
        ("unbiased", 10**6),
        ("mean-of-squares", 1),
        ("mean-of-squares", 40),
    ],
)
def test_training_holds_the_conductances_once_plus_a_fifth(estimator, reads, clamped):
    """Peak of every array allocated during updates, however large N is."""
    network = Network((1568, 1024, 10))
    device = simulated(network, sigma_v=1e-5, clamped_sigma_v=clamped, dtype=np.float32, sweeps=5)
    generator = np.random.default_rng(0)
    device.program(initial_conductances(network, generator))
    size = sum(g.nbytes for g in device.conductances())
    rule = LearningRule(network, 1.0, [1e-3] * 2, [1e-3] * 2, estimator, reads=reads)
    nudging = Nudging.of("positive", "current", 1.0, "mean", 10)
    half = generator.random((4, 784), dtype=np.float32) * 500
    x, t = np.concatenate([half, -half], axis=1), np.eye(10)[:4]

    def update():
        pair = device.free_and_nudged(x, t, nudging, reads, rule.statistic)
        device.update(rule.blocks(pair), x)

    update()
    tracemalloc.start()
    update()
    device.read_batch(x)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak <= 0.2 * size


@pytest.mark.parametrize("solver", ["fast", "reference"])
@pytest.mark.parametrize("terms", ["row", "column", "both", "none"])
@pytest.mark.parametrize("rank", [0, 1, 4, 5])
def test_every_form_of_an_update_is_added(solver, terms, rank):
    """Row and column terms with any rank, also none, equal the dense update clipped."""
    network = Network((8, 5, 3), bias="none", g_max_siemens=1.5)
    device = simulated(network, solver, sweeps=5)
    generator = np.random.default_rng(0)
    before = [generator.uniform(0.2, 1.0, shape) for shape in network.shapes]
    device.program(before)
    layers = []
    for pre, post in network.shapes:
        layers.append(
            LayerUpdate(
                generator.normal(0, 0.3, (rank, pre)),
                generator.normal(0, 0.3, (rank, post)),
                generator.normal(0, 0.3, pre) if terms in ("row", "both") else None,
                generator.normal(0, 0.3, post) if terms in ("column", "both") else None,
            )
        )
    # In two blocks: the first must not be clipped by itself.
    half = [
        LayerUpdate(
            u.left,
            u.right / 2,
            None if u.row is None else u.row / 2,
            None if u.column is None else u.column / 2,
        )
        for u in layers
    ]
    device.update([Update(tuple(half)), Update(tuple(half))])
    for g, start, update in zip(device.conductances(), before, layers, strict=True):
        np.testing.assert_allclose(g, np.clip(start + update.dense(), 0.0, 1.5), rtol=1e-12)


def test_a_conductance_beyond_single_precision_is_refused():
    network = Network((2, 1), bias="none")
    device = simulated(network, dtype=np.float32, sweeps=5)
    with pytest.raises(LimitError, match=r"1e\+300 S, float32 holds"):
        device.program([np.full((2, 1), 1e300)])
