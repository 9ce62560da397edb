"""Every verb of the Keithley 2600 as bytes, and what comes of the answers."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

pytest.importorskip("pymeasure")
pytest.importorskip("filelock")

from pymeasure.test import expected_protocol
from smu_messages import Pair, assert_limit_before_level_before_output, sent

from hilep.instruments.errors import GarbledAnswerError
from hilep.instruments.keithley2600 import Keithley2600
from hilep.instruments.status import COMPLIANCE, INVALID
from hilep.instruments.tspfunctions import FUNCTIONS

TSP_OFF = ("smua.source.output = 0", "smub.source.output = 0")

TSP_OUTPUTS = "print(smua.source.output, smub.source.output)"

TSP_ERROR = ("print(errorqueue.next())", "0.00000e+00\tQueue Is Empty\t0.00000e+00\t1.00000e+00")

START_2600 = [
    ("*IDN?", "Keithley Instruments Inc., Model 2602B, 4000000, 3.3.5"),
    *sent(
        "abort",
        *TSP_OFF,
        "smua.source.offmode = 2",
        "smub.source.offmode = 2",
        *TSP_OFF,
    ),
    (TSP_OUTPUTS, "0.00000e+00\t0.00000e+00"),
    TSP_ERROR,
    *sent(
        "localnode.prompts = 0",
        "localnode.showerrors = 0",
        "smua.measure.count = 2",
        "reset()",
        "hilep_clear, hilep_end, hilep_rows, hilep_acquire, hilep_pulse = nil",
        "format.data = 1",
        "format.asciiprecision = 16",
        "localnode.linefreq = 50",
        *FUNCTIONS,
        "smua.source.offmode = 2",
        "smub.source.offmode = 2",
    ),
    TSP_ERROR,
    (
        "print(smua.measure.count, localnode.prompts, localnode.showerrors, format.data, "
        "format.asciiprecision, localnode.linefreq, smua.source.offmode, smub.source.offmode, "
        "type(hilep_clear), type(hilep_end), type(hilep_rows), type(hilep_acquire), "
        "type(hilep_pulse))",
        "1.0e+00\t0.0e+00\t0.0e+00\t1.0e+00\t1.6e+01\t5.0e+01\t2.0e+00\t2.0e+00" + 5 * "\tfunction",
    ),
]


def kept_2600(smu: str, source: str, other: str, *found: str) -> Pair:
    """The query of a configuration's settings and its answer."""
    items = (
        "source.output", "source.func", f"source.autorange{source}", f"source.range{source}",
        f"source.limit{other}", f"source.level{source}", "sense", f"measure.autorange{other}",
        f"measure.range{other}", "measure.nplc", "measure.filter.enable", "measure.autozero",
        "source.offmode",
    )  # fmt: skip
    return f"print({', '.join(f'{smu}.{item}' for item in items)})", "\t".join(found)


def current_2600(smu: str, *, output_b: int = 0) -> list[Pair]:
    return [
        *sent(
            f"{smu}.source.output = 0",
            f"{smu}.source.func = 0",
            f"{smu}.source.autorangei = 0",
            f"{smu}.source.rangei = 1.000000000e-06",
            f"{smu}.source.limitv = 5.000000000e-01",
            f"{smu}.source.leveli = 0",
            f"{smu}.sense = 0",
            f"{smu}.measure.autorangev = 0",
            f"{smu}.measure.rangev = 1.000000000e+00",
            f"{smu}.measure.nplc = 1.000000000e+00",
            f"{smu}.measure.filter.enable = 0",
            f"{smu}.measure.autozero = 2",
            f"{smu}.source.offmode = 2",
        ),
        TSP_ERROR,
        kept_2600(
            *(smu, "i", "v"),
            *("0.0e+00", "0", "0", "1e-06", "5.000000000000000e-01", "0", "0"),
            *("0", "1.0", "1.0", "0", "2", "2"),
        ),
        (f"{smu}.source.output = 1", None),
        TSP_ERROR,
        (TSP_OUTPUTS, f"1.0e+00\t{output_b}"),
    ]


def both_2600(extra: Sequence[Pair]) -> list[Pair]:
    return [*START_2600, *current_2600("smua"), *current_2600("smub", output_b=1), *extra]


def configure_both(smu: Keithley2600) -> None:
    smu.start()
    for channel in smu.channels.values():
        channel.source_current(0.5, range_a=1e-6)
        channel.on()


READ_2600 = "hilep_acquire(1, true, 2, {smua, smub})"

ROWS_2600 = (
    "2,3.1e-01,2.5e-08,0.0,0,0,5.0e-01,1e-08,2e-02,64,0,"
    "2,1.0e-01,-2.5e-08,0.0,0,0,9.91e+37,-2.5e-08,2e-02,0,0,"
)

ENDS_2600 = "2.5e-08,1,-2.5e-08,1;0,Queue Is Empty"


def test_sets_and_reads_both_channels_in_one_message_each() -> None:
    pairs = both_2600(
        [
            ("smua.source.leveli = 2.500000000e-08 smub.source.leveli = -2.500000000e-08", None),
            (READ_2600, "1," + ROWS_2600 + ENDS_2600),
        ]
    )
    with expected_protocol(Keithley2600, pairs) as smu:
        configure_both(smu)
        writes, queries = smu.messages.writes, smu.messages.queries
        smu.apply({"a": 25e-9, "b": -25e-9})
        reads = smu.acquire(2)
        assert (smu.messages.writes - writes, smu.messages.queries - queries) == (1, 1)
        assert reads.channels == ("a", "b")
        assert reads.volts[0].tolist() == [0.31, 0.1]
        assert reads.status.tolist() == [[0, 0], [COMPLIANCE, INVALID]]
        assert reads.levels == {"a": 25e-9, "b": -25e-9}


@pytest.mark.parametrize(
    "answer",
    ["7," + ROWS_2600 + ENDS_2600, "1," + ROWS_2600[2:] + ENDS_2600, "1", "", "nil"],
    ids=["the answer to another question", "short", "token alone", "empty", "nil"],
)
def test_an_answer_that_is_not_its_own_is_no_reading(answer: str) -> None:
    pairs = both_2600([("smua.source.leveli = 2.500000000e-08", None), (READ_2600, answer)])
    with expected_protocol(Keithley2600, pairs) as smu:
        configure_both(smu)
        smu.apply({"a": 25e-9})
        with pytest.raises(GarbledAnswerError):
            smu.acquire(2)
        assert smu.poisoned is not None


def test_with_one_channel_has_one() -> None:
    start = [
        (m, a.replace("2602B", "2601B") if a else a)
        for m, a in START_2600
        if m is None or not m.startswith("smub")
    ]
    asked, kept = start[-1]
    start[-1] = (asked.replace("smub.source.offmode, ", ""), kept.replace("2.0e+00\t", "", 1))
    start = [("print(smua.source.output)", "0") if m == TSP_OUTPUTS else (m, a) for m, a in start]
    with expected_protocol(Keithley2600, start) as smu:
        smu.start()
        assert list(smu.channels) == ["a"]


def test_a_pulse_is_one_call() -> None:
    pairs = [
        *START_2600,
        *sent(
            "smua.source.output = 0",
            "smua.source.func = 1",
            "smua.source.autorangev = 0",
            "smua.source.rangev = 6.000000000e+00",
            "smua.source.limiti = 1.000000000e-04",
            "smua.source.levelv = 0",
            "smua.sense = 0",
            "smua.measure.autorangei = 0",
            "smua.measure.rangei = 1.000000000e-04",
            "smua.measure.nplc = 1.000000000e+00",
            "smua.measure.filter.enable = 0",
            "smua.measure.autozero = 2",
            "smua.source.offmode = 2",
        ),
        TSP_ERROR,
        kept_2600(
            *("smua", "v", "i", "0", "1", "0", "6.0", "1e-04", "0", "0"),
            *("0", "1e-04", "1.0", "0", "2", "2"),
        ),
        ("smua.source.output = 1", None),
        TSP_ERROR,
        (TSP_OUTPUTS, "1\t0"),
        (
            "hilep_pulse(1, smua, 2.000000000e+00, 1.000000000e-03, 5.000000000e-05)",
            "1,1,0.0,1;0,Queue Is Empty",
        ),
    ]
    with expected_protocol(Keithley2600, pairs) as smu:
        smu.start()
        smu.channels["a"].source_voltage(1e-4, range_v=6)
        smu.channels["a"].on()
        assert smu.pulse("a", 2.0, 1e-3, 5e-5).status.tolist() == [[COMPLIANCE]]


def test_the_limit_goes_before_the_level_and_the_level_before_the_output() -> None:
    assert_limit_before_level_before_output(current_2600("smua"))
