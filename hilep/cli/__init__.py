"""The command line: what went wrong becomes one line on standard error and an exit status.

Little is imported before `run` is entered, so that Ctrl-C during start-up is met by it.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

from hilep.errors import HilepError

if TYPE_CHECKING:
    import typer


def application() -> typer.Typer:
    """Return the application with every installed command."""
    from hilep.cli import commands

    return commands.application()


def main() -> None:
    """Run the command line: one line for what is wrong, and exit status 0, 1 or 2."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: list[str]) -> int:
    """Run one command and return its exit status.

    Args:
        arguments: the words after `hilep`.
    """

    def command() -> int:
        from hilep.cli.commands import invoke

        return invoke(arguments)

    return ended(command)


def ended(command: Callable[[], int]) -> int:
    """Return the exit status of a command; one line on standard error for what it raises."""
    try:
        status = command()
        sys.stdout.flush()
        return status
    except HilepError as error:
        _complain(str(error))
        return error.exit_status
    except KeyboardInterrupt:
        _complain("stopped")
    except MemoryError as error:
        _complain(f"not enough memory: {error}")
    except BrokenPipeError:
        # Python flushes standard output once more when it ends, and would complain there.
        with contextlib.suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except OSError as error:
        _complain(str(error))
    return 1


def _complain(message: str) -> None:
    print(f"hilep: {' '.join(message.split())}", file=sys.stderr)
