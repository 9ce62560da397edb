"""The commands, from the entry-point group `hilep.commands`: a lab's own among them.

An entry point called `bench.serve` is the command `hilep bench serve`: commands of one group may
come from different packages.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from importlib.metadata import EntryPoint, entry_points
from typing import Any

import typer

from hilep.errors import BadInputError

GROUP = "hilep.commands"
GROUP_HELP = {"bench": "Check, serve or switch off the instruments of a bench file."}

# Typer carries a click of its own or uses an installed one; either way this is its root error.
_CommandLineError: Any = next(
    kind for kind in typer.BadParameter.__mro__ if kind.__name__ == "ClickException"
)


def invoke(arguments: list[str]) -> int:
    """Run one command and return its exit status.

    Args:
        arguments: the words after `hilep`.

    Raises:
        BadInputError: for words that are no command line.
        HilepError: whatever the command raises.
    """
    return invoke_in(application(_needed(arguments)), "hilep", arguments)


def invoke_in(app: typer.Typer, name: str, arguments: list[str]) -> int:
    """Run the command of an application that `arguments` call for; see `invoke`."""
    command = typer.main.get_command(app)
    try:
        # Not `main`, which writes an empty line for Ctrl-C and leaves where a pipe is broken.
        with command.make_context(name, arguments or ["--help"]) as context:
            status = command.invoke(context)
    except typer.Exit as leave:
        return int(leave.exit_code)
    except _CommandLineError as error:
        raise BadInputError(error.format_message()) from error
    except typer.Abort as error:
        raise KeyboardInterrupt from error
    return status if isinstance(status, int) else 0


def _installed() -> list[EntryPoint]:
    return sorted(entry_points(group=GROUP), key=lambda entry: entry.name)


def _needed(arguments: list[str]) -> list[EntryPoint]:
    """Return the command that is called for, or every one where help may list them."""
    entries = _installed()
    one = [entry for entry in entries if entry.name.split(".") == arguments[: _depth(entry)]]
    group = [entry for entry in entries if arguments[:1] == entry.name.split(".")[:1]]
    return one or group or entries


def _depth(entry: EntryPoint) -> int:
    return entry.name.count(".") + 1


def application(entries: Iterable[EntryPoint] | None = None) -> typer.Typer:
    """Return the application with the commands of `entries`, by default every installed one."""
    app = typer.Typer(
        help="Train a resistive crossbar in place with Equilibrium Propagation.",
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
    )

    @app.callback()
    def _root(
        version: bool = typer.Option(
            False,
            "--version",
            help="Print the version and leave.",
            callback=_print_version,
            is_eager=True,
        ),
    ) -> None:
        pass

    groups: dict[str, typer.Typer] = {}
    for entry in _installed() if entries is None else entries:
        try:
            command = entry.load()
        except Exception as error:  # one broken plug-in must not take the others with it
            print(f"hilep: command {entry.name!r} cannot be loaded: {error}", file=sys.stderr)
            continue
        group, _, name = entry.name.rpartition(".")
        owner = app
        if group:
            if group not in groups:
                groups[group] = typer.Typer(rich_markup_mode=None, no_args_is_help=True)
                app.add_typer(groups[group], name=group, help=GROUP_HELP.get(group))
            owner = groups[group]
        if isinstance(command, typer.Typer):
            owner.add_typer(command, name=name)
        else:
            owner.command(name)(command)
    return app


def _print_version(wanted: bool) -> None:
    if wanted:
        from hilep import __version__

        print(__version__)
        raise typer.Exit
