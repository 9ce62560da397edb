"""A recorded run is replayed without any instrument, bit for bit, and nothing else is."""

import json

import numpy as np
import pytest
import recorded_sessions
import virtual_files
from recorded_sessions import config, messages, rewritten, trained, without_sockets
from virtual_files import NETWORK, bench_file, siemens

from hilep import experiment
from hilep.errors import ConfigError
from hilep.nudging import Nudging

pytest.importorskip("pymeasure", reason="needs the bench extra")
pytest.importorskip("nidaqmx", reason="needs the bench extra")
pytest.importorskip("lupa", reason="needs the bench extra")

from hilep.instruments import playing
from hilep.instruments.errors import NotAnswering
from hilep.instruments.playing import ReplayError
from hilep.instruments.recordfile import RecordingError
from hilep.instruments.recording import RecordedBench
from hilep.instruments.replaying import ReplayedBench
from hilep.simulators.virtual.twin import twin


@pytest.fixture(autouse=True)
def _installed(tmp_path, monkeypatch):
    recorded_sessions.install(tmp_path, monkeypatch)


@pytest.fixture
def session(tmp_path, known={}):  # noqa: B006 - recorded once for all tests
    """A training of XOR, recorded: the file, and the checkpoint and outcome of the run."""
    path = tmp_path / "session.hilep"
    made = config(tmp_path, record=str(path))
    if not known:
        known["run"] = trained(tmp_path, made, "recorded.h5")
        known["content"] = path.read_bytes()
    path.write_bytes(known["content"])
    return path, *known["run"]


def test_a_training_is_replayed_bit_for_bit(session, tmp_path, monkeypatch):
    path, recorded, outcome = session
    assert not all((g == g[0, 0]).all() for g in recorded.conductances)
    without_sockets(monkeypatch)
    made = config(tmp_path, replay=str(path))
    found, again = trained(tmp_path, made, "replayed.h5")
    for have, want in zip(found.conductances, recorded.conductances, strict=True):
        np.testing.assert_array_equal(have, want)
    assert again.test.accuracy == outcome.test.accuracy
    # The recording alone is enough.
    (tmp_path / "bench.toml").unlink()
    found, _ = trained(tmp_path, config(tmp_path, replay=str(path), file=""), "alone.h5")
    for have, want in zip(found.conductances, recorded.conductances, strict=True):
        np.testing.assert_array_equal(have, want)
    assert not list(tmp_path.glob("*REPLAY*.lock")), "a replay leaves its locks behind"


@pytest.mark.parametrize(
    "changed", [{"eta": 5e-9}, {"beta_siemens": 2e-6}, {"reads": 3}, {"updates": 2}]
)
def test_another_training_ends_at_the_first_message_that_differs(
    session, tmp_path, caplog, changed
):
    path, *_ = session
    made = config(tmp_path, training=changed, replay=str(path))
    with pytest.raises(ReplayError) as caught:
        experiment.prepare(made, tmp_path / "replayed.h5").execute()
    error = caught.value
    line = str(error)
    assert line.startswith(f"replay of session.hilep: {error.instrument}, message {error.number}: ")
    assert "expected" in line
    assert ", got " in line
    assert "\n" not in line
    assert messages(path, error.instrument)[error.number - 1].number == error.number
    assert not caplog.records, "there are no outputs to warn of"


def test_a_bench_of_source_meters_and_a_matrix_is_replayed(tmp_path, monkeypatch):
    file = bench_file(tmp_path, virtual_files.tables())

    def used(bench):
        with bench:
            report = bench.program(siemens(NETWORK, low=1e-6, high=2e-6))
            nudging = Nudging("current", (0.0, 1e-6))
            inputs = np.array([[0.7, -0.4], [-0.2, 0.9]])
            contrast = bench.free_and_nudged(inputs, np.full((2, 2), 0.05), nudging, samples=3)
            snapshot = {
                name: one["settings"] for name, one in bench.snapshot()["instruments"].items()
            }
            return [
                report,
                snapshot,
                *(g.tolist() for g in bench.conductances()),
                contrast.first.mean.tolist(),
                contrast.second.mean.tolist(),
                contrast.amps.tolist(),
            ]

    path = tmp_path / "session.hilep"
    bench = RecordedBench(file, NETWORK, path, twin=twin)
    recorded = used(bench)
    bench.session.end()
    without_sockets(monkeypatch)
    assert used(ReplayedBench.load(path, NETWORK)) == recorded


def test_an_error_of_the_ni_driver_comes_again(tmp_path, monkeypatch):
    from nidaqmx.errors import DaqReadError
    from nidaqmx.stream_readers import AnalogMultiChannelReader

    path = tmp_path / "session.hilep"
    read, reads = AnalogMultiChannelReader.read_many_sample, []

    def failing(self, *arguments, **keywords):
        reads.append(arguments)
        if len(reads) == 25:
            raise DaqReadError("Some samples are not there yet.", -200284, 1, "task")
        return read(self, *arguments, **keywords)

    monkeypatch.setattr(AnalogMultiChannelReader, "read_many_sample", failing)
    with pytest.raises(NotAnswering, match="Some samples") as recorded:
        trained(tmp_path, config(tmp_path, record=str(path)), "recorded.h5")
    monkeypatch.undo()
    recorded_sessions.install(tmp_path / "again", monkeypatch)
    without_sockets(monkeypatch)
    with pytest.raises(NotAnswering) as replayed:
        trained(tmp_path, config(tmp_path, replay=str(path)), "replayed.h5")
    assert str(replayed.value) == str(recorded.value)


def test_a_recording_of_another_bench_file_is_refused(session, tmp_path):
    path, *_ = session
    made = config(tmp_path, replay=str(path))
    bench = tmp_path / "bench.toml"
    bench.write_text(bench.read_text() + "\n")
    with pytest.raises(RecordingError, match=r"session\.hilep: was recorded with another bench"):
        experiment.prepare(made, tmp_path / "replayed.h5")


def test_a_recording_that_was_changed_is_found_out(session, tmp_path):
    path, *_ = session

    def spoiled(line):
        if "text" in line:
            line["text"] = line["text"].replace("smub.source.leveli", "smub.source.levelv")
        return line

    rewritten(path, spoiled)
    with pytest.raises(ReplayError, match="smu1"):
        experiment.prepare(config(tmp_path, replay=str(path)), tmp_path / "a.h5").execute()


def test_a_recording_that_ends_early_says_so(session, tmp_path):
    path, *_ = session
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(ReplayError, match="expected the end of the recording, got"):
        experiment.prepare(config(tmp_path, replay=str(path)), tmp_path / "a.h5").execute()


def test_messages_wait_for_their_time_if_that_is_asked_for(session, tmp_path, monkeypatch):
    path, *_ = session
    clock = [100.0]

    class Time:
        @staticmethod
        def monotonic():
            return clock[0]

        @staticmethod
        def sleep(seconds):
            clock[0] += seconds

    monkeypatch.setattr(playing, "time", Time)
    made = config(tmp_path, replay=str(path), replay_in_real_time=True)
    trained(tmp_path, made, "replayed.h5")
    times = [json.loads(line)["t"] for line in path.read_text().splitlines()[1:]]
    assert clock[0] - 100.0 == pytest.approx(max(times) - times[0])


@pytest.mark.parametrize(
    ("device", "message"),
    [
        ({"replay": "a", "virtual": True}, "device.virtual: expected it not given with replay"),
        ({"replay": "a", "record": "b"}, "device.record: expected it not given with replay"),
        ({"file": ""}, "device.file: missing, expected a bench file"),
        ({"replay": ""}, "device.replay: "),
        ({"replay": "a", "replay_part": 0}, "device.replay_part: "),
        ({"replay": "absent.hilep", "file": ""}, "absent.hilep: cannot be read: No such file"),
    ],
)
def test_keys_that_say_nothing_sensible_are_refused(tmp_path, device, message):
    given = {"virtual": False, "file": "", **device}
    made = config(tmp_path, **given)
    with pytest.raises((ConfigError, RecordingError)) as caught:
        experiment.prepare(made, tmp_path / "a.h5")
    assert message in str(caught.value)
