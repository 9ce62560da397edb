"""Laws of a calibration's page: all of it there or said to be absent, whole, and loads nothing."""

import dataclasses
import datetime
import json
import re
import subprocess
import sys
from importlib.metadata import EntryPoint
from xml.etree import ElementTree

import h5py
import numpy as np
import pytest
from noisy_crossbar import white
from test_calibration_files import measured, whole
from test_report import Page

from hilep import report_kinds
from hilep.calibration.calibrationfile import write
from hilep.calibration.channels import released_nudge
from hilep.calibration.conductance import ConductanceMap, layer_cells
from hilep.calibration.evaluating import findings
from hilep.calibration.reportpage import page
from hilep.cli import run as hilep
from hilep.config import load

DAY = datetime.date(2026, 6, 1)
PARTS = (
    "Sigma", "Independence", "Drift", "Nodes together", "Settling", "Channels", "Cells",
    "Uncertainty of a mean of N", "Configuration", "Provenance",
)  # fmt: skip
FIGURES = (
    "Paired differences.", "Sigma of each node.", "Free and nudged phase.", "Autocorrelation.",
    "Periodogram.", "Means of N reads.", "Allan plot.", "Interleaving.", "Covariance.",
    "Sigma of cells' differences.", "After the clamp.", "Gain.", "Offset in volts.", "Shares.",
    *(f"Layer {k}: {what}." for k in (1, 2) for what in ("conductances", "gains", "spread")),
)  # fmt: skip


def settled():
    """A step response that was measured at the nodes that it was fitted for."""
    calibration = whole()
    times = np.linspace(0.01, 1.0, 30)
    volts = np.tile(1 - np.exp(-times / 0.1)[:, None], (2, 1, 8)).reshape(2, 30, 8)
    volts = volts + 1e-4 * np.random.default_rng(1).standard_normal(volts.shape)
    reads = dataclasses.replace(
        calibration.settling.reads[0],
        delays_s=np.broadcast_to(times[None, :, None], volts.shape).copy(),
        volts=volts,
    )
    return dataclasses.replace(
        calibration,
        settling=dataclasses.replace(calibration.settling, reads=(reads,)),
        conductance=cells(),
        released=released_nudge(
            1e-10 * np.random.default_rng(2).standard_normal((20, 2)), 1e-6, channels=("y0", "y1")
        ),
    )


def cells():
    """Cells of 4-6-2 nodes of which one in each layer is stuck."""
    generator = np.random.default_rng(0)
    layers = []
    for shape in ((4, 6), (6, 2)):
        asked = generator.uniform(1e-6, 1e-4, (5, *shape))
        found = np.stack([asked * 1.02, asked * 1.02 + 1e-8], axis=1)
        found[..., 1, 1] = 3e-5
        layers.append(layer_cells(asked, found, np.zeros(shape, np.int64)))
    ends = (1e-6, 9e-7, 1.2e-6, 0.0, 0.0, 0.01, 0.05, 0.04, 0.07)
    return ConductanceMap(tuple(layers), 5, 2, 12.5, *ends)


@pytest.fixture(scope="module")
def full():
    return settled()


@pytest.fixture(scope="module")
def full_page(full):
    return Page(page(full, "cal.h5", DAY))


def bare(pairs=1, judged=True):
    """Nothing but pairs, as of a calibration that was stopped."""
    calibration = measured(pairs=max(pairs, 2), reads=256)
    reads = calibration.reads
    kept = dataclasses.replace(
        reads, free=reads.free[:pairs], nudged=reads.nudged[:pairs],
        free_time_s=reads.free_time_s[:pairs], nudged_time_s=reads.nudged_time_s[:pairs],
        free_status=reads.free_status[:pairs], nudged_status=reads.nudged_status[:pairs],
    )  # fmt: skip
    config = load(None, ["network.layers=[4,6,2]", "network.bias=none"])
    said = findings(kept, None, config.network.network(), 1, not judged)
    return dataclasses.replace(
        calibration, reads=kept, record=None, failed=True, sigma=said.sigma, phases=said.phases,
        judged=said.judged, covariance=said.covariance, distribution=said.distribution,
        independence=said.independence, allan=said.allan, problems=(*said.problems, "stopped"),
    )  # fmt: skip


# The page -----------------------------------------------------------------------------------------


def test_every_part_and_every_figure_is_there(full_page):
    places = [full_page.text.find(part) for part in PARTS]
    assert -1 not in places
    for title in FIGURES:
        assert title in full_page.text
    assert len(full_page.figures) == len(FIGURES)
    assert "Absent:" not in full_page.text


def test_it_says_what_was_found(full, full_page):
    pooled = full.sigma.pooled
    text = full_page.text.replace("\N{NO-BREAK SPACE}", " ")
    assert f"{1e6 * pooled.sigma_v:.4g} µV" in text
    assert f"{1e6 * pooled.low_v:.4g} µV to {1e6 * pooled.high_v:.4g} µV" in text
    for line in (*full.problems, *full.notes):
        assert line in full_page.text
    assert f"{len(full.problems)} things are wrong" in text
    assert "did not come to its end" in text
    assert full.created in text
    assert "made up, µ" in text
    assert "made up, serial 0" in text
    assert f"{full.channels[0].expires}" in text
    assert "Each of 36 cells was written 5 times and read 2 times after each write; 2 are" in text
    assert "23 cells that follow, 1 stuck. Line: the mean, 2" in text
    assert "write noise, the same for every conductance 1 µS 900 nS 1.2 µS" in text
    assert "Released nudge, y0:" in text


def test_the_page_loads_nothing(full_page):
    assert not {tag for tag, _ in full_page.tags} & {"script", "iframe", "object", "embed", "base"}
    for tag, attributes in full_page.tags:
        for key, value in attributes.items():
            if key in ("src", "href", "xlink:href", "action", "data", "srcset", "poster"):
                assert value.startswith(("#", "data:")), (tag, key, value[:60])
            assert key == "xmlns" or "://" not in (value or ""), (tag, key)


def test_figures_are_xml_with_labels_and_ids_that_are_there_once(full_page):
    for figure in full_page.figures:
        root = ElementTree.fromstring(figure)
        assert len(root.get("aria-label")) > 10
        ids = {element.get("id") for element in root.iter()}
        wanted = set(re.findall(r"url\(#([^)]+)\)", figure))
        wanted |= set(re.findall(r'href="#([^"]+)"', figure))
        assert wanted <= ids
    ids = [attributes["id"] for _, attributes in full_page.tags if "id" in attributes]
    assert len(ids) == len(set(ids))


def test_the_same_calibration_gives_the_same_bytes(full):
    assert page(full, "cal.h5", DAY) == page(full, "cal.h5", DAY)


def test_a_verdict_in_words_for_each_that_there_is():
    def text(calibration):
        return Page(page(calibration, "cal.h5", DAY)).text

    assert "Reads are independent" in text(measured(seed=1, pairs=40, reads=256))
    assert "Nothing is wrong" in text(measured(seed=1, pairs=40, reads=256))

    def drifting(generator, count, nudged):
        return 1e-3 * np.arange(count)[:, None] + white(1e-4)(generator, count, nudged)

    assert "eq. (11) does not hold" in text(measured(noise=drifting, reads=512))
    assert "cannot be told" in text(measured(pairs=40, reads=30))


def test_what_has_expired_stands_out(full):
    late = full.channels[0].expires + datetime.timedelta(days=1)
    found = Page(page(full, "cal.h5", late))
    assert ("tr", {"class": "expired"}) in found.tags
    assert f"expired on {full.channels[0].expires}" in found.text
    assert ("tr", {"class": "expired"}) not in Page(page(full, "cal.h5", DAY)).tags


@pytest.mark.parametrize("pairs", [1, 2, 5, 30])
def test_what_is_absent_is_said_in_one_line(pairs):
    found = Page(page(bare(pairs), "cal.h5", DAY))
    for part in PARTS:
        assert part in found.text
    for line in ("settling was not measured", "no channel was compared", "cells were not measured"):
        assert line in found.text
    if pairs == 1:
        assert "No sigma" in found.text
        assert "there is no pooled sigma" in found.text
    else:
        assert "it takes a record" in found.text


def test_nodes_that_carry_no_sigma_leave_the_others_a_page():
    def poor(generator, count, nudged):
        volts = white(1e-4)(generator, count, nudged)
        volts[:, 0], volts[:, 3] = np.nan, 0.5
        return volts

    found = Page(page(measured(noise=poor), "cal.h5", DAY))
    assert "Crosses: nodes without a sigma, 2." in found.text

    def dead(generator, count, nudged):
        return np.full((count, 8), 0.25)

    assert "cannot carry a verdict" in Page(page(measured(noise=dead), "cal.h5", DAY)).text


def test_text_from_the_file_is_escaped(full):
    evil = "<script>alert('&')</script>"
    spoiled = dataclasses.replace(
        full, problems=(evil,), notes=(evil,), created=evil, device=json.dumps({evil: evil}),
        channels=(dataclasses.replace(full.channels[0], channel=evil, reference=evil),),
    )  # fmt: skip
    content = page(spoiled, evil, DAY)
    assert b"<script" not in content
    assert Page(content).text.count(evil) >= 6


def test_a_page_of_many_nodes_stays_small():
    nodes, n = 1034, 60
    generator = np.random.default_rng(0)
    config = load(None, ["network.layers=[8,1024,10]", "network.bias=none"])
    small = measured(pairs=n, reads=64)
    status = np.zeros((n, nodes), np.uint8)
    volts = 1e-4 * generator.standard_normal((2, n, nodes))
    reads = dataclasses.replace(
        small.reads, free=volts[0], nudged=volts[1], free_status=status, nudged_status=status
    )
    record = dataclasses.replace(
        small.record, volts=1e-4 * generator.standard_normal((64, nodes)), status=status[0]
    )
    said = findings(reads, record, config.network.network(), 1)
    large = dataclasses.replace(
        small, config=config.to_json(), reads=reads, record=record, sigma=said.sigma,
        phases=said.phases, judged=said.judged, covariance=said.covariance,
        distribution=said.distribution, independence=said.independence, allan=said.allan,
    )  # fmt: skip
    content = page(large, "large.h5", DAY)
    assert len(content) < 3e6
    assert "Every 5th node." in Page(content).text


def test_nothing_heavy_is_imported_before_it_is_needed():
    names = ("budget", "reportpage", "reportsections", "sigma_of_file", "sigma_of_voltmeter")
    lines = [f"import hilep.calibration.{name}" for name in names]
    lines += [
        "import sys",
        "heavy = {'scipy', 'matplotlib', 'jinja2', 'hilep.simulators', 'hilep.instruments'}",
        "sys.exit(repr(heavy & set(sys.modules)) if heavy & set(sys.modules) else 0)",
    ]
    done = subprocess.run(
        [sys.executable, "-c", "\n".join(lines)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


# The command --------------------------------------------------------------------------------------


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "cal.h5"
    write(path, measured(seed=1))
    return path


def test_the_command_knows_the_file_by_its_schema(file, capsys):
    before = file.read_bytes()
    assert hilep(["report", str(file), "--json"]) == 0
    said = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert said["report"] == str(file.with_name("cal.report.html"))
    assert said["independent"] is True
    assert said["sigma_v"] > 0
    text = file.with_name("cal.report.html").read_text(encoding="utf-8")
    assert "Calibration of made up, µ" in text
    assert file.read_bytes() == before


def test_a_file_that_something_else_holds_open_is_reported(file, tmp_path):
    with h5py.File(file, "r", locking=False):
        assert hilep(["report", str(file), "-o", str(tmp_path / "page.html")]) == 0


def test_what_cannot_be_reported_is_one_line(file, tmp_path, capsys):
    other = tmp_path / "other.h5"
    with h5py.File(other, "w") as made:
        made.attrs["schema"] = "something-else"
    later = tmp_path / "later.h5"
    later.write_bytes(file.read_bytes())
    with h5py.File(later, "r+") as made:
        made.attrs["version"] = 99
    short = tmp_path / "short.h5"
    short.write_bytes(file.read_bytes())
    with h5py.File(short, "r+") as made:
        del made["sigma"]
    words_of_none = tmp_path / "none.h5"
    words_of_none.write_bytes(file.read_bytes())
    with h5py.File(words_of_none, "r+") as made:
        made.attrs["device"] = "[]"
    for words, expected in (
        ([other], "something-else"), ([later], "version 99"), ([short], "damaged"),
        ([words_of_none], "device is no JSON object"),
        ([file, "--follow", "5"], "--follow: only for run files"),
        ([file, "-o", file], "expected another name"),
        ([file, "--port", "0"], "only with --follow"),
    ):  # fmt: skip
        assert hilep(["report", *map(str, words)]) == 2
        [line] = capsys.readouterr().err.splitlines()
        assert expected in line
    assert not list(tmp_path.glob("*.html"))


def test_a_page_that_cannot_be_loaded_is_one_line(file, monkeypatch, capsys):
    broken = EntryPoint("hilep-calibration", "hilep.none:report", report_kinds.GROUP)

    class Found:
        names = frozenset({"hilep-calibration"})

        def select(self, name):
            return [broken]

    monkeypatch.setattr(report_kinds, "entry_points", lambda group: Found())
    assert hilep(["report", str(file)]) == 2
    [line] = capsys.readouterr().err.splitlines()
    assert "no page of a 'hilep-calibration' file" in line
