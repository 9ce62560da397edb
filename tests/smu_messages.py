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


STARTED_2400 = {
    ":TRIG:COUN?": "1",
    ":OUTP:SMOD?": "HIMP",
    ":SOUR:CLE:AUTO?": "0",
    ":SYST:LFR?": "50",
    ":SYST:AZER?": "1",
    ":SENS:AVER?": "0",
    ":SENS:FUNC:CONC?": "1",
    ":SENS:FUNC?": '"VOLT:DC","CURR:DC"',
    ":FORM:DATA?": "ASC",
    ":FORM:ELEM?": "VOLT,CURR,TIME,STAT",
}
"""What a 2400 keeps after its start."""


def kept_2400(
    source: str, other: str, span: str, limit: str, measure: str, four_wire: str = "0"
) -> dict[str, str]:
    """What a 2400 keeps after a configuration."""
    return {
        ":OUTP?": "0",
        ":SOUR:FUNC?": source,
        f":SOUR:{source}:MODE?": "FIX",
        f":SOUR:{source}:RANG:AUTO?": "0",
        f":SOUR:{source}:RANG?": span,
        f":SENS:{other}:PROT?": limit,
        f":SENS:{other}:RANG:AUTO?": "0",
        f":SENS:{other}:RANG?": measure,
        f":SOUR:{source}?": "0.000000E+00",
        f":SENS:{other}:NPLC?": "1.000000E+00",
        ":SYST:RSEN?": four_wire,
        ":SOUR:DEL?": "0.000000E+00",
        ":SOUR:DEL:AUTO?": "0",
    }


SWITCHED_ON = (":OUTP ON", ":OUTP1 ON")

ON = [(":OUTP ON", None), ERROR, (":OUTP?", "1")]


def assert_limit_before_level_before_output(messages: Sequence[Pair]) -> None:
    """Check the order of a configuration and what switches its output on."""
    order = [message for message, _ in messages if message is not None]
    limit = next(k for k, m in enumerate(order) if "PROT " in m or "limitv =" in m)
    level = next(k for k, m in enumerate(order) if ":CURR 0" in m or "leveli =" in m)
    on = next(k for k, m in enumerate(order) if m in SWITCHED_ON or "output = 1" in m)
    assert 0 < limit < level < on
