"""Pairs of message and answer that tests of several source-measure units share."""

from __future__ import annotations

from collections.abc import Sequence

Pair = tuple[str | None, str | None]

NONE = '0,"No error"'

ERROR = (":SYST:ERR?", NONE)


# Of virtual source meters: source a current, with a limit in volts.
SOURCE_AMPS = {
    "2400": ":SOUR:FUNC CURR;:SENS:FUNC 'VOLT','CURR';:SENS:VOLT:PROT {limit};:SOUR:CURR {level}",
    "2450": ":SOUR:FUNC CURR;:SENS:FUNC 'VOLT';:SOUR:CURR:VLIM {limit};:SOUR:CURR {level}",
    "B2900": ":SOUR:FUNC:MODE CURR;:SENS:VOLT:PROT {limit};:SOUR:CURR {level}",
    "2600": "smua.source.func=0 smua.source.limitv={limit} smua.source.leveli={level}",
}


def sent(*messages: str) -> list[Pair]:
    return [(message, None) for message in messages]


def read_back(settings: dict[str, str]) -> Pair:
    """The one query of settings, and its answer."""
    return ";".join([*settings, ":SYST:ERR?"]), ";".join([*settings.values(), NONE])


SWITCHED_ON = (":OUTP ON", ":OUTP1 ON")

ON = [(":OUTP ON", None), ERROR, (":OUTP?", "1")]


def assert_limit_before_level_before_output(messages: Sequence[Pair]) -> None:
    """Check the order of a configuration and what switches its output on."""
    order = [message for message, _ in messages if message is not None]
    limit = next(k for k, m in enumerate(order) if "PROT " in m or "limitv =" in m)
    level = next(k for k, m in enumerate(order) if ":CURR 0" in m or "leveli =" in m)
    on = next(k for k, m in enumerate(order) if m in SWITCHED_ON or "output = 1" in m)
    assert 0 < limit < level < on
