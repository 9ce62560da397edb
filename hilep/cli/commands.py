"""The commands, from the entry-point group `hilep.commands`: a lab's own among them."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from importlib.metadata import EntryPoint, entry_points
from typing import Any

import typer

from hilep.errors import BadInputError

GROUP = "hilep.commands"

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
    command = typer.main.get_command(application(_needed(arguments)))
    try:
        # Not `main`, which writes an empty line for Ctrl-C and leaves where a pipe is broken.
        with command.make_context("hilep", arguments or ["--help"]) as context:
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
    called = [entry for entry in entries if arguments[:1] == [entry.name]]
    return called or entries


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

    for entry in _installed() if entries is None else entries:
        try:
            command = entry.load()
        except Exception as error:  # one broken plug-in must not take the others with it
            print(f"hilep: command {entry.name!r} cannot be loaded: {error}", file=sys.stderr)
            continue
        if isinstance(command, typer.Typer):
            app.add_typer(command, name=entry.name)
        else:
            app.command(entry.name)(command)
    return app


def _print_version(wanted: bool) -> None:
    if wanted:
        from hilep import __version__

        print(__version__)
        raise typer.Exit
