"""Commands that are scripts of their own: `python -m package.module`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def script(name: str, command: Callable[..., Any], arguments: list[str]) -> int:
    """Run a function as `hilep` runs its commands, and return the exit status.

    Args:
        name: of the script, for its help.
        command: with arguments as typer takes them; it returns the exit status.
        arguments: the words after the name.
    """
    from hilep.cli import ended

    def called() -> int:
        import typer

        from hilep.cli.commands import invoke_in

        app = typer.Typer(
            add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None
        )
        app.command()(command)
        return invoke_in(app, name, arguments)

    return ended(called)
