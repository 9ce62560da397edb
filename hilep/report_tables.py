"""The tables of a report: the run in short, and its ratios."""

from __future__ import annotations

import math

import numpy as np

from hilep.arrays import Doubles
from hilep.nudging import loss_curvature
from hilep.report_facts import Facts
from hilep.report_text import abbreviated, quantity

Rows = list[tuple[str, str]]


def summary(facts: Facts) -> Rows:
    """Return name and value of what a result has to say of itself."""
    config, results = facts.record.config, facts.record.results
    data, network, training = config.data, config.network, config.training
    rows = [
        ("Data", f"{data.name}, inputs to {quantity(data.gamma_v, 'V')}"
                 f"{', doubled' if data.doubled else ''}, "
                 f"targets {quantity(data.target_off_v, 'V')} and {quantity(data.target_v, 'V')}"),
        ("Network", f"{sizes_text(facts)}, diodes {abbreviated(network.diodes)}, "
                    f"bias {network.bias}"),
        ("Device", str(facts.device.get("description", config.device.backend))),
        ("Read noise sigma", _range(facts.sigma_v, "V")),
        ("Reads N", f"{training.reads} in each phase, {training.evaluation_reads} for accuracies"),
        ("Nudging", f"{training.nudging}, {training.variant}; "
                    f"beta {quantity(training.beta_siemens, 'S')}, loss {training.loss}"),
        ("Eta", f"{', '.join(f'{eta:g}' for eta in training.eta)} S²/V², "
                f"{training.schedule} schedule"),
        ("Updates", f"{facts.updates} of {training.updates}, batch {training.batch_size} "
                    f"({training.reduction})"),
        ("Seeds", f"data {data.seed}, training {training.seed}, device {_device_seed(facts)}"),
        ("Trials", "1 (this run)"),
    ]  # fmt: skip
    if facts.interval is not None:
        low, high = (100 * p for p in facts.interval)
        rows.append(("95 % interval", f"{low:.2f} to {high:.2f} % (Wilson)"))
    if "test_loss" in results:
        rows.append(("Test loss", f"{results['test_loss']:.6g} V²"))
    if "seconds" in results:
        rows.append(("Time", f"{results['seconds']:.3f} s, training and evaluation"))
    if facts.saturated:
        rows.append(("Saturated readings", f"{facts.saturated}, at the end of the reader's range"))
    return rows


def sizes_text(facts: Facts) -> str:
    """Return the nodes of each layer, such as "128-256-10"."""
    return "-".join(str(n) for n in facts.record.config.network.layers)


def ratios(facts: Facts) -> Rows:
    """Return the dimensionless numbers that carry over to a bench of another scale."""
    data, training = facts.record.config.data, facts.record.config.training
    options = facts.record.config.device.options
    sigma = facts.sigma_v
    rows = [("Target over full-scale input", _range(_one(data.target_v / data.gamma_v)))]
    if sigma is not None:
        averaged = sigma / math.sqrt(training.reads)
        rows += [
            ("Sigma over full-scale input", _range(sigma / data.gamma_v)),
            ("Sigma over target", _range(sigma / abs(data.target_v - data.target_off_v))),
            ("Sigma of the mean of N reads over full-scale input", _range(averaged / data.gamma_v)),
        ]
        bits, reach = options.get("adc_bits"), options.get("adc_range_v")
        if isinstance(bits, int) and isinstance(reach, (int, float)) and reach > 0:
            span = 2.0 * reach
            name = f"Sigma over read range (-{reach:g} to +{reach:g} V)"
            rows.append((name, _range(sigma / span)))
            rows.append(
                (f"Sigma over converter step ({bits} bits)", _range(sigma / span * 2**bits))
            )
    outputs = facts.record.config.network.layers[-1]
    if training.variant != "chl":
        spring = training.beta_siemens * loss_curvature(training.loss, outputs)
        rows.append(("Nudge: beta times curvature of the loss", quantity(spring, "S")))
        total = _output_conductance(facts)
        if total is not None:
            rows.append(("Nudge over mean total conductance of an output", f"{spring / total:.4g}"))
    share = _share_of_outputs(facts)
    if share is not None:
        name = "Outputs' share of a last hidden node's conductance, median"
        rows.append((name, f"{share:.4g}"))
    return rows


def _output_conductance(facts: Facts) -> float | None:
    """Return the mean over the outputs of their total conductance, siemens."""
    if facts.record.checkpoint is None:
        return None
    total = float(facts.record.checkpoint.conductances[-1].sum(axis=0, dtype=np.float64).mean())
    return total if math.isfinite(total) and total > 0 else None


def _share_of_outputs(facts: Facts) -> float | None:
    """Return the median over the last hidden nodes of what the outputs hold of each."""
    if facts.record.checkpoint is None or len(facts.record.checkpoint.conductances) < 2:
        return None
    before, last = facts.record.checkpoint.conductances[-2:]
    inwards = before.sum(axis=0, dtype=np.float64)
    outwards = last[: inwards.size].sum(axis=1, dtype=np.float64)
    total = inwards + outwards
    alive = np.isfinite(total) & (total > 0)
    return float(np.median(outwards[alive] / total[alive])) if alive.any() else None


def _one(value: float) -> Doubles:
    return np.array([value])


def _device_seed(facts: Facts) -> str:
    """Return the seed among the device's options, or that it has none."""
    options = facts.device.get("options")
    return str(options.get("seed", "none")) if isinstance(options, dict) else "not recorded"


def _range(values: Doubles | None, unit: str = "") -> str:
    """Return one value, or how many and between what."""
    if values is None:
        return "not recorded"
    low, high = float(values.min()), float(values.max())
    texts = [quantity(v, unit) if unit else f"{v:.4g}" for v in (low, high)]
    if low == high:
        return texts[0]
    return f"{texts[0]} .. {texts[1]} ({values.size} values)"
