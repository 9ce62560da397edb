"""The command line: commands come from the entry-point group `hilep.commands`, a lab's own too."""

from __future__ import annotations

import sys
from importlib.metadata import entry_points

import typer

from hilep.errors import HilepError

GROUP = "hilep.commands"

# Typer carries a click of its own or uses an installed one; either way this is its root error.
_CommandLineError = next(c for c in typer.BadParameter.__mro__ if c.__name__ == "ClickException")


def application() -> typer.Typer:
    """Return the application with every installed command."""
    app = typer.Typer(
        help="Train a resistive crossbar in place with Equilibrium Propagation.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
    )

    @app.callback()
    def _root(
        version: bool = typer.Option(False, "--version", help="Print the version and leave."),
    ) -> None:
        if version:
            from hilep import __version__

            print(__version__)
            raise typer.Exit

    for entry in sorted(entry_points(group=GROUP), key=lambda e: e.name):
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


def main() -> None:
    """Run the command line: one line for what is wrong, and exit status 0, 1 or 2."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: list[str]) -> int:
    """Run one command and return its exit status.

    Args:
        arguments: the words after `hilep`.
    """
    command = typer.main.get_command(application())
    try:
        status = command.main(arguments, prog_name="hilep", standalone_mode=False)
    except HilepError as error:
        print(f"hilep: {error}", file=sys.stderr)
        return error.exit_status
    except _CommandLineError as error:
        message = error.format_message()  # type: ignore[attr-defined]
        if message:
            print(f"hilep: {message}".replace("\n", " "), file=sys.stderr)
        return 2
    except (KeyboardInterrupt, typer.Abort):
        print("hilep: stopped before anything was begun", file=sys.stderr)
        return 1
    except BrokenPipeError:
        return 1
    return status if isinstance(status, int) else 0
