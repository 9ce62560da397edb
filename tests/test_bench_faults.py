"""Whatever goes wrong at whichever message, outputs end off and no bad reading is trained on.

A seeded sample of what `benchmarks/faults.py` goes through message by message.
"""

import sys
from pathlib import Path

import numpy as np
import pytest

for package in ("pymeasure", "lupa", "filelock"):
    pytest.importorskip(package, reason="needs the bench extra")

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Ctrl-C is sent by a POSIX signal")
BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
KINDS = [
    "instrument gone",
    "instrument silent",
    "connection lost",
    "time-out, never arrived",
    "time-out, answer lost",
    "late answer",
    "garbage",
    "truncated",
    "truncated, with an end",
    "error-queue entry",
    "compliance trip",
    "over-range sentinel",
    "Ctrl-C",
    "exception in user code",
]
SIGNALS = ["Ctrl-C of a process", "termination", "kill -9"]


@pytest.fixture(scope="module")
def rig(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patched:
        patched.syspath_prepend(BENCHMARKS)
        import fault_rig

        with fault_rig.rig(tmp_path_factory.mktemp("faults")) as made:
            yield made


@pytest.fixture(scope="module")
def injector(rig):
    import fault_kinds

    return fault_kinds.Injector(rig)


@pytest.fixture(scope="module")
def supervised(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patched:
        patched.syspath_prepend(BENCHMARKS)
        patched.setenv("TMPDIR", str(tmp_path_factory.getbasetemp()))
        import fault_processes
        import fault_rig

        with fault_rig.rig(tmp_path_factory.mktemp("processes"), supervised=True) as made:
            yield fault_processes.Processes(made)


def chosen(rig, kind, part, salt=0):
    """One case of a kind, the same in every run."""
    import fault_kinds

    possible = [one for one in fault_kinds.cases(rig.clean, (kind,)) if one.part == part]
    return possible[np.random.default_rng([len(kind), salt]).integers(len(possible))]


def test_these_are_all_kinds_and_every_message_has_those_that_can_happen_to_it(rig):
    import fault_kinds

    assert list(fault_kinds.KINDS) == KINDS
    found = {(one.kind, one.instrument, one.number) for one in fault_kinds.cases(rig.clean)}
    everywhere = ["instrument gone", "instrument silent", "error-queue entry", "Ctrl-C"]
    for message in rig.clean.messages:
        assert {(kind, message.instrument, message.number) for kind in everywhere} <= found
    measured = set(rig.clean.read)
    assert {one[1:] for one in found if one[0] == "over-range sentinel"} == measured
    assert {name for name, _ in measured} == {"smu1", "smu2", "smu3", "smu4", "daq1", "daq2"}


def test_outputs_are_on_in_the_circuit_while_an_update_goes_on(rig):
    on = {}
    course = rig.run(
        rig.fresh(rig.folder / "watched.h5"),
        lambda message: on.setdefault(message.part, set()).update(rig.on(set())),
    )
    assert course.error is None
    assert on["step"] == rig.on_at_all
    assert not rig.on(set())


@pytest.mark.parametrize("kind", KINDS)
def test_a_fault_in_an_update_ends_safely_and_the_run_goes_on(rig, injector, kind):
    result, not_resumed = injector.run(chosen(rig, kind, "step"))
    assert result.injected
    assert result.on == ()
    assert result.wrong == ()
    assert not_resumed == ""


@pytest.mark.parametrize(
    ("kind", "part"),
    [
        ("truncated, with an end", "switching on"),
        ("Ctrl-C", "test"),
        ("Ctrl-C", "switching off"),
        ("instrument gone", "switching off"),
        ("instrument silent", "switching off"),
    ],
)
def test_a_fault_before_or_after_it_does_too(rig, injector, kind, part):
    result, not_resumed = injector.run(chosen(rig, kind, part, salt=1))
    assert (result.good, result.on, result.wrong, not_resumed) == (True, (), (), "")


def test_cells_that_a_fault_has_left_anywhere_are_written_again(rig, injector):
    import fault_kinds

    pulses = [one for one in rig.clean.messages if ":FUNC:SHAP PULS" in one.text]
    middle = pulses[len(pulses) // 2]
    case = fault_kinds.Case("instrument gone", middle.instrument, middle.number, middle.part)
    result, _ = injector.run(case)
    assert result.good
    assert "NotAnswering" in result.error or "StateUnknownError" in result.error
    assert injector.to_the_end() == ""


@pytest.mark.parametrize("kind", SIGNALS)
def test_a_process_that_dies_in_an_update_leaves_every_output_off(supervised, kind):
    result = supervised.run(chosen(supervised.rig, kind, "step", salt=2))
    assert result.injected
    assert result.on == ()
    assert result.wrong == ()
