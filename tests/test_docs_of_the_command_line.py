"""Law: the pages on configuration and command line name what there is, and nothing else."""

import json
import re
import tomllib
from pathlib import Path
from typing import Literal, get_args, get_origin

import pytest
import typer
from command_line import settings

from hilep.cli import application, run
from hilep.config import Config
from hilep.data import NAMES
from hilep.simulators.backend import SimulatedOptions
from hilep.simulators.cells.options import CellOptions
from hilep.simulators.circuit.options import CircuitOptions, JunctionOptions, PrecisionOptions

DOCS = Path(__file__).parent.parent / "docs"
SIMULATED = 'Keys of `backend = "simulated"`'
MODELS = {
    **{f"`[{name}]`": field.annotation for name, field in Config.model_fields.items()},
    SIMULATED: SimulatedOptions,
    'Keys of `backend = "circuit"`': CircuitOptions,
    "`[device.junction]`": JunctionOptions,
    "`[device.precision]`": PrecisionOptions,
    "`[device.cells]`": CellOptions,
}
UNITS = {
    "_v": "V",
    "_a": "A",
    "_siemens": "S",
    "_ohm": "ohm",
    "_farads": "F",
    "_seconds": "s",
    "_s": "s",
    "_hz": "Hz",
    "_k": "K",
}
UNSET = object()


def sections(page):
    """The text under each heading of a page."""
    parts = re.split(r"^#+ (.*)\n", (DOCS / page).read_text(encoding="utf-8"), flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def rows(text):
    """The cells of each row of a table whose first cell is code."""
    return [
        [cell.strip() for cell in line.strip()[1:-1].split("|")]
        for line in text.splitlines()
        if line.startswith("| `")
    ]


def documented(heading):
    """Meaning, unit, default and allowed values of each key in a section's table."""
    table = {}
    for cells in rows(sections("configuration.md")[heading]):
        key, meaning, unit, default, allowed = cells
        assert key.strip("`") not in table
        table[key.strip("`")] = (meaning, unit, default, allowed)
    return table


@pytest.mark.parametrize("heading", MODELS)
def test_the_page_names_exactly_the_keys_with_their_defaults(heading):
    fields, table = MODELS[heading].model_fields, documented(heading)
    assert list(table) == list(fields)
    for key, field in fields.items():
        text = table[key][2]
        if text.partition(":")[0] == "unset":
            assert field.default is None, key
            continue
        value = tomllib.loads(f"value = {text.strip('`')}")["value"]
        default = field.default
        if isinstance(default, list) and not isinstance(value, list):
            [default] = default
        assert (type(value), value) == (type(default), default), key


@pytest.mark.parametrize("heading", MODELS)
def test_the_page_gives_units_and_words(heading):
    fields, table = MODELS[heading].model_fields, documented(heading)
    for key, (meaning, unit, _, allowed) in table.items():
        assert meaning
        assert allowed
        for ending, symbol in UNITS.items():
            if key.endswith(ending):
                assert unit == symbol, key
        annotation = fields[key].annotation
        if get_origin(annotation) is Literal:
            assert set(re.findall(r"`([^`]+)`", allowed)) == set(get_args(annotation)), key
    if heading == "`[data]`":
        assert re.findall(r"`([^`]+)`", table["name"][3]) == list(NAMES)


def test_the_page_says_which_numbers_are_allowed():
    """A bound on the page is the bound of the model."""
    checked = 0
    for heading, model in MODELS.items():
        for key, (_, _, _, allowed) in documented(heading).items():
            schema = model.model_json_schema()["properties"][key]
            kinds = [schema, *schema.get("anyOf", [])]
            for name, sign in (("exclusiveMinimum", ">"), ("minimum", ">=")):
                for bound in {kind[name] for kind in kinds if name in kind}:
                    upper = re.search(r"whole, (\d+) to", allowed)
                    said = upper[1] if upper else re.search(rf"(?<!\S){sign} (-?\d+)", allowed)[1]
                    assert float(said) == bound, key
                    checked += 1
    assert checked > 25


@pytest.mark.parametrize("command", ["train", "report", "calibrate", "plan"])
def test_the_page_names_every_option(command):
    page = sections("command-line.md")[f"`hilep {command}`"]
    named = {
        word
        for cells in rows(page)
        for word in re.findall(r"(?<![\w-])--?[a-z][a-z-]*|[A-Z]+(?=`)", cells[0])
        if word.startswith("-") or cells[0] == f"`{word}`"
    }
    parameters = typer.main.get_command(application()).commands[command].params
    options = {
        word
        for parameter in parameters
        for word in (
            parameter.opts if parameter.param_type_name == "option" else [parameter.name.upper()]
        )
    }
    assert named == options | {"--help"}


def test_the_page_names_every_command():
    commands = set(typer.main.get_command(application()).commands)
    assert {f"`hilep {name}`" for name in commands} <= set(sections("command-line.md"))


def test_the_page_names_every_json_key(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    page = sections("command-line.md")
    for heading, words in (
        ("What it prints", ["train", *settings(), "--out", "run.h5", "--json"]),
        ("`hilep report`", ["report", "run.h5", "--json"]),
        ("`hilep plan`", ["plan", "--sigma", "1", "--critical", "1", "--json"]),
    ):
        assert run(words) == 0
        answer = json.loads(capsys.readouterr().out)
        text = page[heading].partition("JSON object:")[2]
        assert [cells[0].strip("`") for cells in rows(text)] == list(answer)
