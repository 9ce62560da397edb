"""A transaction keeps other threads, sessions and programs out; over real sockets."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import pytest

pytest.importorskip("pymeasure")
pytest.importorskip("filelock")

from line_server import LineServer, Output, small

from hilep.instruments.errors import (
    InstrumentError,
)
from hilep.instruments.locks import InstrumentLock, lock_path


def test_a_transaction_keeps_other_threads_out(server: LineServer) -> None:
    with small(server) as instrument:
        lines = len(server.received)

        def work(name: str) -> None:
            for _ in range(20):
                with instrument.transaction():
                    instrument.command(f"SET {name}")
                    with instrument.transaction():
                        assert instrument.query(f"{name}?") == f"echo {name}?"

        threads = [threading.Thread(target=work, args=(name,)) for name in "ABC"]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        pairs = server.received[lines:]
    assert len(pairs) == 120
    for first, second in zip(pairs[::2], pairs[1::2], strict=True):
        assert first.removeprefix("SET ") == second.removesuffix("?")


def test_two_sessions_of_one_process_exclude_each_other(server: LineServer) -> None:
    with small(server) as one:
        other = InstrumentLock(server.resource.lower())
        with one.transaction(), pytest.raises(InstrumentError, match="in use"):
            other.acquire(0.05)
        other.acquire(0.05)
        other.release()


def test_another_process_excludes_and_its_death_lets_go(server: LineServer, tmp_path: Path) -> None:
    holder = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import pathlib, sys, time\n"
            "from hilep.instruments import locks\n"
            "locks.lock_folder = lambda: pathlib.Path(sys.argv[2])\n"
            "lock = locks.InstrumentLock(sys.argv[1])\n"
            "lock.acquire(5)\n"
            "print('held', flush=True)\n"
            "time.sleep(60)\n",
            server.resource,
            str(tmp_path),
        ],
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parent.parent,
    )
    with holder:
        try:
            assert holder.stdout is not None
            assert holder.stdout.readline().strip() == "held"
            instrument = small(server)
            instrument.lock_timeout_s = 0.1
            with pytest.raises(InstrumentError, match="in use"):
                instrument.start()
            assert server.received == []
        finally:
            holder.kill()
            holder.wait()
        with instrument.start():
            assert instrument.query("B?") == "echo B?"


def test_safe_goes_out_where_another_thread_holds_the_lock(
    server: LineServer, output: Output
) -> None:
    with small(server) as instrument:
        instrument.command(":OUTP ON")
        held, done = threading.Event(), threading.Event()

        def hold() -> None:
            with instrument.transaction():
                held.set()
                done.wait(10)

        thread = threading.Thread(target=hold)
        thread.start()
        held.wait(10)
        report = instrument.safe()
        done.set()
        thread.join()
        assert report.off is None
        assert instrument.recover() == {"1": False}


def test_names_of_one_resource_share_a_file() -> None:
    assert lock_path("tcpip0::h::5025::socket") == lock_path("TCPIP0::H::5025::SOCKET")
    assert lock_path("GPIB0::1::INSTR") != lock_path("GPIB0::11::INSTR")
