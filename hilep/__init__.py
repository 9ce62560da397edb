"""Train a resistive crossbar in place with Equilibrium Propagation.

Names are loaded when first used, so that `import hilep` costs little more than numpy.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hilep.config import Config as Config
    from hilep.crossbar import Crossbar as Crossbar
    from hilep.errors import HilepError as HilepError
    from hilep.network import Network as Network
    from hilep.nudging import Nudging as Nudging
    from hilep.reading import Reading as Reading
    from hilep.rule import LearningRule as LearningRule
    from hilep.trainer import Trainer as Trainer

_HOME = {
    "Config": "config",
    "Crossbar": "crossbar",
    "HilepError": "errors",
    "LearningRule": "rule",
    "Network": "network",
    "Nudging": "nudging",
    "Reading": "reading",
    "Trainer": "trainer",
}
__all__ = list(_HOME)

# In a source checkout the rooms stand beside this folder, and Python started there finds this
# folder before the installed package, whose finder would know where they are.
_rooms = Path(__file__).parent.parent
if not (Path(__file__).parent / "simulators").exists() and (_rooms / "simulators").exists():
    __path__.append(str(_rooms))


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("hilep")
    if name in _HOME:
        return getattr(import_module(f"hilep.{_HOME[name]}"), name)
    raise AttributeError(f"module 'hilep' has no attribute {name!r}")
