"""The knee of every hidden node's nonlinearity, and whether the inputs drive its node across it."""

from __future__ import annotations

import numpy as np

from hilep.arrays import Doubles
from hilep.instruments.benchprobe import Probe
from hilep.instruments.findings import Finding, Verdict
from hilep.instruments.wiringmodel import WiringModel
from hilep.network import Network

STEPS = 10
"""Sweep points on each side of zero."""


def knees(
    probe: Probe, model: WiringModel, network: Network, relative: float, known: bool
) -> list[Finding]:
    """Sweep all inputs together, bias rows at 0 V, and find what each rectifier gives.

    What flows into a node besides its cells' currents is its rectifier's, by Kirchhoff's law with
    the volts as measured. It conducts where that is more than the cells' tolerance leaves open.

    Args:
        probe: reads the bench.
        model: with the cells' conductances.
        network: its limits and, where `known`, its polarities.
        relative: fraction of the currents that the tolerance of the cells leaves open.
        known: whether the polarities are those of the run to come.

    Returns:
        One finding for each hidden node.
    """
    hidden = range(model.first_free, model.first_output)
    if not hidden:
        return []
    most = _most_volts(probe, model, network)
    inputs = model.lines[: network.inputs]
    levels = np.linspace(-most, most, 2 * STEPS + 1)
    volts = np.zeros((len(levels), len(model.names)))
    for row, level in enumerate(levels):
        found = probe.read(dict.fromkeys(inputs, float(level)))
        if found.trouble is not None:
            text = f"all inputs at {level:.3g} V: {found.trouble}"
            return [Finding("knee", "sweep of the inputs", "failed", text)]
        volts[row, : network.inputs] = level
        volts[row, model.first_free :] = found.volts
    amps = volts @ model.kirchhoff
    size = 0.5 * np.abs(volts) @ np.abs(model.kirchhoff)
    used = np.abs(levels) > 0.15 * most
    findings = []
    for node in hidden:
        share = amps[used, node] / np.maximum(size[used, node], np.finfo(float).tiny)
        polarity = int(network.polarity[node - model.first_free]) if known else None
        findings.append(
            _finding(
                model.names[node],
                volts[used, node],
                np.where(np.abs(share) > relative, np.sign(share), 0),
                most,
                polarity,
            )
        )
    return findings


def _most_volts(probe: Probe, model: WiringModel, network: Network) -> float:
    """Return the volts of all inputs that keep every node within interlock and reader."""
    sections = probe.bench.file.sections
    share = np.zeros(len(model.names))
    share[: network.inputs] = 1.0
    free = slice(model.first_free, None)
    share[free] = np.linalg.solve(
        model.kirchhoff[free, free], -model.kirchhoff[free, : network.inputs].sum(axis=1)
    )
    node_v = 0.8 * min(sections.interlock.max_node_v, sections.roles.nodes.range_v)
    most_v = min(sections.roles.clamp.max_v, network.voltage_limit_v)
    return float(min(most_v, node_v / share[free].max()))


def _finding(
    name: str, volts: Doubles, conducts: Doubles, most: float, polarity: int | None
) -> Finding:
    reach = f"between {volts.min():.3g} and {volts.max():.3g} V"
    values: dict[str, object] = {
        "reach_v": [float(volts.min()), float(volts.max())],
        "inputs_v": most,
    }
    on = np.flatnonzero(conducts)
    verdict: Verdict = "failed"
    if not on.size:
        verdict = "ok" if polarity == 0 else "failed"
        text = f"no nonlinearity within reach: linear {reach}, inputs within {most:.3g} V"
        return Finding("knee", name, verdict, text, values)
    signs = set(conducts[on].astype(int).tolist())
    if len(signs) > 1 or on.size == len(conducts):
        text = f"conducts {reach} without an end: its knee is not within reach"
        return Finding("knee", name, verdict, text, values)
    (sign,) = signs
    edge = volts[on]
    # The volts at which it barely conducts are the furthest from where it conducts most.
    knee = float(edge.max() if sign > 0 else edge.min())
    values |= {"knee_v": knee, "polarity": sign}
    words = {1: "holds at or above", -1: "holds at or below"}
    text = f"{words[sign]} {knee:.3g} V, and moved {reach}"
    if polarity is not None and polarity != sign:
        wanted = "no rectifier" if polarity == 0 else f"one that {words[polarity]} its knee"
        return Finding("knee", name, "failed", f"{text}; expected {wanted}", values)
    return Finding("knee", name, "ok", text, values)
