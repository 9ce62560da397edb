"""The command line as tests call it: in this process, or in one of its own."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import hilep

ROOT = Path(hilep.__file__).parent.parent
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
# A shell may have started the tests in the background, with Ctrl-C ignored.
PROGRAM = (
    "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
    "from hilep.cli import main; main()"
)

SMALL = {
    "data.name": '"xor"',
    "network.layers": "[4, 6, 2]",
    "device.solver": '"reference"',
    "training.updates": "12",
    # Gentle: of runs of the exclusive or, many end with a dead network.
    "training.eta": "1e-5",
    "network.g_min_siemens": "0.02",
    "training.seed": "3",
}


def heed_signals():
    """Undo what `nohup` or a background job passed on."""
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        signal.signal(getattr(signal, name), signal.SIG_DFL)


def settings(values=None):
    """The words that set each key, those of a small quick run unless told otherwise."""
    return [
        word
        for key, value in {**SMALL, **(values or {})}.items()
        if value is not None
        for word in ("--set", f"{key}={value}")
    ]


def toml(values):
    """The text of a configuration file with these keys."""
    sections = {}
    for key, value in values.items():
        section, _, name = key.partition(".")
        sections.setdefault(section, []).append(f"{name} = {value}")
    return "\n".join(
        line for section, lines in sections.items() for line in (f"[{section}]", *lines)
    )


def start(words, folder, program=PROGRAM, **more):
    """`hilep` in a process of its own, with signals as a terminal gives them."""
    if os.name == "posix":
        more.setdefault("preexec_fn", heed_signals)
    return subprocess.Popen(
        [sys.executable, "-c", program, *words],
        cwd=folder,
        env=ENVIRONMENT,
        stdin=subprocess.DEVNULL,
        text=True,
        **{"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **more},
    )


def ended(words, folder, program=PROGRAM):
    """(exit status, standard output, standard error) of `hilep` in a process of its own."""
    with start(words, folder, program) as process:
        out, err = process.communicate(timeout=60)
    return process.returncode, out, err
