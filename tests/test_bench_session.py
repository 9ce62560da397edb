"""A session that knows its instrument's state, or refuses to go on; over real sockets."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("pymeasure")
pytest.importorskip("filelock")

from line_server import IDN, SHORT_S, HangUp, Late, LineServer, Output, Small, small

from hilep.errors import BadInputError
from hilep.instruments.errors import (
    IdentityError,
    NotAnswering,
    StateUnknownError,
)


def test_the_first_act_is_to_identify_the_second_to_switch_off(
    server: LineServer, output: Output
) -> None:
    with small(server) as instrument:
        assert server.received[:3] == ["*IDN?", ":OUTP OFF", ":OUTP?"]
        assert not output.on
        assert instrument.identity.serial == "123"


def test_nothing_but_the_question_goes_to_another_instrument(
    server: LineServer, output: Output
) -> None:
    with (
        pytest.raises(IdentityError, match="2602B") as caught,
        Small(server.resource, expect="2602B", timeout_s=5.0),
    ):
        pytest.fail("entered")
    assert server.received == ["*IDN?"]
    assert output.on
    assert caught.value.exit_status == 2


def test_nothing_but_questions_goes_to_one_in_another_language(
    server: LineServer, output: Output
) -> None:
    class Picky(Small):
        def check(self) -> None:
            raise BadInputError("another language")

    with pytest.raises(BadInputError), Picky(server.resource, timeout_s=5.0):
        pytest.fail("entered")
    assert server.received == ["*IDN?"]
    assert output.on


def test_a_session_that_was_not_started_sends_nothing(server: LineServer) -> None:
    instrument = small(server)
    with pytest.raises(StateUnknownError, match="not started"):
        instrument.command(":OUTP ON")
    instrument.shutdown()
    assert server.received == []


def test_an_output_that_stays_on_refuses_the_start(server: LineServer, output: Output) -> None:
    output.obeys = False
    with pytest.raises(StateUnknownError, match="still on"), small(server):
        pytest.fail("entered")
    assert server.received.count(":OUTP OFF") >= 2


def test_no_answer_poisons_until_recovered(server: LineServer, output: Output) -> None:
    output.answers["SILENT?"] = None
    with small(server) as instrument:
        with pytest.raises(NotAnswering):
            instrument.query("SILENT?")
        with pytest.raises(StateUnknownError):
            instrument.query("B?")
        with pytest.raises(StateUnknownError):
            instrument.command("C")
        assert "C" not in server.received
        assert instrument.recover() == {"1": False}
        assert instrument.query("B?") == "echo B?"


@pytest.mark.parametrize("own", [True, False])
def test_a_late_answer_is_never_that_of_the_next_question(
    server: LineServer, output: Output, own: bool
) -> None:
    from pymeasure.adapters import VISAAdapter

    output.answers["A?"] = Late("1.0")
    adapter = (
        server.resource
        if own
        else VISAAdapter(server.resource, read_termination="\n", write_termination="\n")
    )
    with Small(adapter, timeout_s=SHORT_S) as instrument:
        for _ in range(3):
            with pytest.raises(NotAnswering):
                instrument.query("A?")
            instrument.recover()
            assert instrument.query("B?") == "echo B?"


def test_a_late_identity_is_not_taken_for_the_next(server: LineServer, output: Output) -> None:
    with small(server) as instrument:
        output.answers["*IDN?"] = Late(IDN)
        with pytest.raises(NotAnswering):
            instrument.query("*IDN?")
        output.answers.clear()
        instrument.recover()
        assert instrument.query("B?") == "echo B?"


def test_safe_goes_out_of_a_poisoned_session(server: LineServer, output: Output) -> None:
    output.answers["SILENT?"] = None
    with small(server) as instrument:
        instrument.command(":OUTP ON")
        with pytest.raises(NotAnswering):
            instrument.query("SILENT?")
        sent = len(server.received)
        report = instrument.safe()
        assert server.received[sent] == ":OUTP OFF"
        assert report.off is True
        assert not output.on


def test_safe_never_raises_where_the_instrument_is_dead(server: LineServer) -> None:
    with small(server) as instrument:
        instrument.command(":OUTP ON")
        server.die()
        report = instrument.safe()
        assert report.off is None
        with pytest.raises(StateUnknownError):
            instrument.recover()
    assert instrument.last_report.off is None


def test_a_hang_up_is_answered_by_a_new_session(server: LineServer, output: Output) -> None:
    output.answers["HANG?"] = HangUp()
    with small(server) as instrument:
        with pytest.raises(NotAnswering):
            instrument.query("HANG?")
        assert instrument.recover() == {"1": False}


@pytest.mark.parametrize("thrown", [ValueError, KeyboardInterrupt, SystemExit])
def test_leaving_by_an_exception_switches_off(
    server: LineServer, output: Output, thrown: type[BaseException]
) -> None:
    def work() -> None:
        with small(server) as instrument:
            instrument.command(":OUTP ON")
            raise thrown

    with pytest.raises(thrown):
        work()
    assert server.received[-2:] == [":OUTP OFF", ":OUTP?"]
    assert not output.on


def test_an_interrupt_inside_a_question_poisons(
    server: LineServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> str:
        raise KeyboardInterrupt

    with small(server) as instrument:
        with monkeypatch.context() as patched:
            patched.setattr(instrument.session, "read", interrupted)
            with pytest.raises(KeyboardInterrupt):
                instrument.query("A?")
        with pytest.raises(StateUnknownError):
            instrument.query("B?")
        instrument.recover()
        assert instrument.query("B?") == "echo B?"


def test_a_snapshot_is_plain_json(server: LineServer) -> None:
    with small(server) as instrument:
        found = json.loads(json.dumps(instrument.snapshot()))
    assert found["settings"] == {"level": "echo :LEV?"}
    assert found["outputs"] == {"1": False}
    assert found["serial"] == "123"


def test_a_name_of_no_resource_is_one_line() -> None:
    with pytest.raises(BadInputError):
        Small("GARBAGE::NAME", timeout_s=SHORT_S)


def test_nothing_that_listens_is_not_answering(server: LineServer) -> None:
    server.die()
    with pytest.raises(NotAnswering), small(server):
        pytest.fail("entered")


def test_mains_of_other_lands_are_refused() -> None:
    with pytest.raises(BadInputError, match="line_hz"):
        Small("TCPIP0::127.0.0.1::1::SOCKET", line_hz=55)


@pytest.mark.parametrize("module", ["pymeasure", "filelock"])
def test_a_missing_extra_is_one_line(module: str) -> None:
    script = (
        f"import sys; sys.modules[{module!r}] = None\n"
        "from hilep.errors import MissingExtraError\n"
        "try:\n    import hilep.instruments.keithley2400\n"
        "except MissingExtraError as error:\n    print(error)\n"
    )
    assert "hilep[bench]" in run(script)


def test_the_package_alone_loads_no_driver_library() -> None:
    script = (
        "import sys, hilep.instruments, hilep.instruments.errors, hilep.instruments.smu\n"
        "print([m for m in ('pymeasure', 'pyvisa', 'nidaqmx', 'pandas') if m in sys.modules])"
    )
    assert run(script).strip() == "[]"


def run(script: str) -> str:
    return subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parent.parent,
    ).stdout
