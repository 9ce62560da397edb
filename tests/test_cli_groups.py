"""Commands of one group that come from different packages."""

import pytest

from hilep.cli import commands as module
from hilep.cli import run

SOURCE = """
import typer


def check(bench: str) -> int:
    \"\"\"Check a bench.\"\"\"
    print(f"checked {bench}")
    return 0


def serve(bench: str, as_json: bool = typer.Option(False, "--json")) -> int:
    \"\"\"Serve a bench.\"\"\"
    print(f"served {bench} {as_json}")
    return 1


def plain() -> None:
    \"\"\"Do something else.\"\"\"
    print("plain")
"""
ENTRY_POINTS = """\
[hilep.commands]
stand.check = stand_commands:check
stand.serve = stand_commands:serve
stand.gone = no_such_module:gone
plainly = stand_commands:plain
"""


@pytest.fixture(autouse=True)
def _installed(tmp_path, monkeypatch):
    (tmp_path / "stand_commands.py").write_text(SOURCE)
    metadata = tmp_path / "stand-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: stand\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text(ENTRY_POINTS)
    monkeypatch.syspath_prepend(tmp_path)


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        (["stand", "check", "one.toml"], 0, "checked one.toml\n"),
        (["stand", "serve", "one.toml", "--json"], 1, "served one.toml True\n"),
        (["plainly"], 0, "plain\n"),
    ],
)
def test_each_command_of_a_group_runs(words, status, said, capsys):
    assert run(words) == status
    out, err = capsys.readouterr()
    assert (out, err) == (said, "")


def test_only_the_command_that_is_called_is_loaded():
    for words, names in (
        (["stand", "check", "x"], ["stand.check"]),
        (["stand", "--help"], ["stand.check", "stand.gone", "stand.serve"]),
        (["stand"], ["stand.check", "stand.gone", "stand.serve"]),
        (["plainly"], ["plainly"]),
    ):
        assert [entry.name for entry in module._needed(words)] == names


def test_help_lists_a_group_and_its_commands(capsys):
    assert run(["--help"]) == 0
    assert "stand" in capsys.readouterr().out
    assert run(["stand", "--help"]) == 0
    out, err = capsys.readouterr()
    assert "check" in out
    assert "Serve a bench." in out
    # A broken plug-in is said and takes no other with it.
    assert "stand.gone" in err


@pytest.mark.parametrize("words", [["stand", "nothing"], ["stand", "check"], ["stands"]])
def test_what_is_no_command_is_one_line(words, capsys):
    assert run(words) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.splitlines()[-1].startswith("hilep: ")


def test_a_group_alone_shows_its_help(capsys):
    assert run(["stand"]) in (0, 2)
    out, err = capsys.readouterr()
    assert "check" in out + err
