"""Networks on a virtual bench, as several tests use them."""

import numpy as np

from hilep.network import Network
from hilep.simulators.cells.array import CellArray
from hilep.simulators.cells.cell import Cell
from hilep.simulators.cells.pulses import PulseResponse
from hilep.simulators.cells.window import Window
from hilep.simulators.virtual.clock import Clock
from hilep.simulators.virtual.network_world import NetworkWorld, Surroundings
from hilep.simulators.virtual.world import Drive

LOW, HIGH = 1e-7, 1e-5


def network(layers=(4, 6, 3), diodes="split", bias="row"):
    return Network(layers, diodes, bias, bias_v=0.5, g_min_siemens=LOW, g_max_siemens=HIGH)


def conductances(of, seed=1):
    generator = np.random.default_rng(seed)
    return [generator.uniform(1e-6, 9e-6, shape) for shape in of.shapes]


def world(of, siemens=None, pulses=None, **around):
    """A world without leakage to speak of, whose cells hold `siemens`."""
    more = {key: around.pop(key) for key in ("switching", "control") if key in around}
    response = None if pulses is None else PulseResponse(pulses)
    cells = CellArray(of.shapes, Cell(Window(LOW, HIGH), pulses=response))
    around = Surroundings(**{"leakage_siemens": 1e-18, **around})
    made = NetworkWorld(of, cells, Clock(), around, **more)
    if siemens is not None:
        made.write(siemens)
    return made


def hold(made, volts, limit=1.0):
    """Drive terminals with volts, by name."""
    for name, value in volts.items():
        made.drive(name, Drive("volts", float(value), limit))


def clamp(made, volts):
    """Drive every input, and the bias rows."""
    hold(made, {f"x{k}": value for k, value in enumerate(volts)})
    if made.network.bias_rows:
        hold(made, dict(zip(("bp", "bn"), made.network.bias_volts, strict=True)))


def free_volts(made):
    """Volts of the free nodes, in the order of reads."""
    names = [made.nodes.names[node] for node in made.nodes.free]
    return made.measure(names, 0.0, np.random.default_rng(0)).volts[0]
