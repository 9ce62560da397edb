"""Programming without pulses: the cells of a bench in memory become what is asked."""

import numpy as np

from hilep.instruments.roles import WriteReport


class Programmer:
    """Sets the world's cells; each that is named in `stuck` stays."""

    def __init__(self, file, instruments):
        self.world = next(iter(instruments.values())).world
        self.rest = self.world.programmer.get("rest", "driven")
        self.volatile = self.world.programmer.get("volatile", False)
        self.calls = []
        self.world.writer = self
        self.identity = {}

    def connect(self):
        pass

    def program(self, cells, siemens, tolerance):
        world = self.world
        if "interrupt" in world.faults.get("program", ()):
            raise KeyboardInterrupt
        self.calls.append(cells.copy())
        if self.rest != "driven":
            assert not any(world.level(line) for line in world.wiring["nudge"])
            assert not any(world.level(line) for line in world.wiring["clamp"])
        if self.rest == "off":
            assert not world.on
        for (layer, row, column), value in zip(cells.tolist(), siemens, strict=True):
            world.siemens[layer][row, column] = world.stuck.get((layer, row, column), value)
        world.changed("program", len(cells))
        found = np.array([world.siemens[k][i, j] for k, i, j in cells.tolist()])
        failed = np.abs(found - siemens) > tolerance * siemens
        return WriteReport(found, failed, pulses=len(cells))

    def safe(self):
        pass

    def snapshot(self):
        return {"rest": self.rest}
