"""Bench files as tables, for networks of any size, that a test may spoil."""

import itertools


def channels(instrument, names):
    return [f"{instrument}.{name}" for name in names]


def toml(value):
    """One value in TOML."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key} = {toml(one)}" for key, one in value.items()) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(toml(one) for one in value) + "]"
    if isinstance(value, bool):
        return str(value).lower()
    return repr(float(value)) if isinstance(value, float) else repr(value)


def written(tables):
    """The text of a bench file."""
    return "\n".join(f"{key} = {toml(value)}" for key, value in tables.items()) + "\n"


def bench_tables(network, world="0", layout="scanner"):
    """A bench file for `network`, as tables that a test may spoil.

    "scanner": three SMUs and a scanner. "own": analog outputs clamp, and the nudging SMU reads the
    outputs. "one": a single SMU does everything but read.
    """
    letters = "abcdefghijklmnop"
    clamp, nudge = ("smu1", "smu2") if layout == "scanner" else ("smu1", "smu1")
    inputs = list(letters[: network.inputs])
    rest = iter(letters[network.inputs :])
    bias = list(itertools.islice(rest, network.bias_rows))
    outs = list(letters[: network.outputs])
    if layout == "one":
        outs = list(itertools.islice(rest, network.outputs))
    numbers = iter(range(101, 200))
    nodes = [f"daq1.{next(numbers)}" for _ in range(network.free_nodes)]
    kinds = {"smu1": "fake-smu", "daq1": "fake-scanner"}
    if layout == "scanner":
        kinds["smu2"] = "fake-smu"
    if layout == "own":
        kinds |= {"out1": "fake-outputs", "smu1": "fake-smu"}
        clamp, inputs = "out1", [f"ao{k}" for k in range(network.inputs)]
        bias = [f"ao{network.inputs + k}" for k in range(network.bias_rows)]
        nodes[network.free_nodes - network.outputs :] = channels("smu1", outs)
        if network.free_nodes == network.outputs:
            del kinds["daq1"]
    volts = 1.0
    tables = {
        "instruments": {
            name: {"driver": kind, "resource": f"fake::{world}::{name}", "expect": "F1"}
            for name, kind in kinds.items()
        },
        "roles": {
            "clamp": {
                "channels": channels(clamp, inputs),
                "bias_channels": channels(clamp, bias),
                "range_v": 2.0 * volts,
                "max_v": 2.0 * volts,
            },
            "nudge": {
                "channels": channels(nudge, outs),
                "range_a": 1e-5,
                "limit_v": 20.0,
                "max_a": 1e-5,
            },
            "nodes": {"channels": nodes, "range_v": 100.0, "nplc": 1},
            "program": {
                "kind": "direct",
                "cells": [
                    [channels("gates", [f"g{k}_{i}_{j}" for j in range(n)]) for i in range(m)]
                    for k, (m, n) in enumerate(network.shapes)
                ],
                "map": {"volts": [0.0, 1.0], "siemens": [1e-9, 1e-3]},
                "max_v": 1.0,
                "range_v": 1.0,
                "tolerance": 1e-12,
            },
        },
        "settle": {"seconds": 0},
        "interlock": {"max_node_v": 50.0, "supervisor": False},
    }
    tables["instruments"]["gates"] = {
        "driver": "fake-outputs",
        "resource": f"fake::{world}::gates",
    }
    if layout != "own":
        tables["roles"]["clamp"]["limit_a"] = 1e-3
    if network.polarity.any():
        tables["hidden"] = {"nonlinearity": "ideal"}
    return tables


def wiring_of(tables):
    roles = tables["roles"]
    return {role: list(roles[role]["channels"]) for role in ("clamp", "nudge", "nodes")}
