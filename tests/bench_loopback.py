"""Instruments on loopback sockets, their drivers, and a run on them that a test may kill."""

import contextlib
import socketserver
import sys
import threading
import time

import numpy as np

from hilep.instruments.acquisition import Acquisition
from hilep.instruments.bench import Bench
from hilep.instruments.benchfile import BenchFile
from hilep.instruments.instrument import BenchInstrument
from hilep.instruments.roles import WriteReport
from hilep.network import Network

NETWORK = Network((2, 2), bias="none", g_min_siemens=1e-7, g_max_siemens=1e-5)
CHANNELS = "abcd"


class Box:
    """One instrument: its outputs, its levels, and how many have connected.

    As with many a raw socket, the next client waits for the end of the last one, unless `crowded`.
    """

    def __init__(self, crowded=False):
        self.on, self.levels, self.said = set(), {}, []
        self.connections = 0
        self.turn = contextlib.nullcontext() if crowded else threading.Lock()
        box = self

        class Handler(socketserver.StreamRequestHandler):
            def handle(self):
                with box.turn, contextlib.suppress(OSError):
                    box.connections += 1
                    for line in self.rfile:
                        answer = box.obey(line.decode().strip())
                        if answer is not None:
                            self.wfile.write(answer.encode() + b"\n")

        class Server(socketserver.ThreadingTCPServer):
            daemon_threads = True
            allow_reuse_address = True

        self.server = Server(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def resource(self):
        return f"TCPIP0::127.0.0.1::{self.server.server_address[1]}::SOCKET"

    def obey(self, text):
        self.said.append(text)
        word, *rest = text.split()
        if word == "*IDN?":
            return "Makers,LOOP1,0007,1.0"
        if word == ":SYST:ERR?":
            return '0,"No error"'
        if word == "OFF":
            self.on.clear()
        elif word == "ON":
            self.on.add(rest[0])
        elif word == "LEV":
            self.levels.update(part.split("=") for part in rest)
        elif word == "OUTP?":
            return ",".join("1" if name in self.on else "0" for name in CHANNELS)
        elif word == "READ?":
            return ",".join(["0.01"] * int(rest[0]))
        return None

    def close(self):
        self.server.shutdown()
        self.server.server_close()


class Loop(BenchInstrument):
    models = ("LOOP1",)

    def off_messages(self):
        return ["OFF"]

    def read_outputs(self):
        flags = self.numbers_in(self.query("OUTP?"), len(CHANNELS))
        return {name: bool(flag) for name, flag in zip(CHANNELS, flags, strict=True)}

    def acquire(self, samples, channels=None):
        chosen = tuple(channels or self.scanned)
        shape = (samples, len(chosen))
        found = self.numbers_in(self.query(f"READ? {samples * len(chosen)}"), samples * len(chosen))
        volts = found.reshape(shape)
        return Acquisition(chosen, volts, volts, volts, np.zeros(shape, np.uint8))


class LoopReader(Loop):
    def configure(self, channels, range_v, nplc=1.0):
        self.scanned = tuple(channels)


class LoopSource(Loop):
    def __init__(self, *args, **keywords):
        super().__init__(*args, **keywords)
        self.channels = {name: LoopChannel(self, name) for name in CHANNELS}

    def apply(self, levels):
        self.command("LEV " + " ".join(f"{name}={level!r}" for name, level in levels.items()))


class LoopChannel:
    def __init__(self, parent, name):
        self.parent, self.name = parent, name

    def source_voltage(self, limit, **ranges):
        self.parent.command(f"LIM {self.name} {limit!r}")

    source_current = source_voltage

    def on(self):
        self.parent.command(f"ON {self.name}")


class Writer:
    rest, volatile, identity = "driven", False, {}

    def __init__(self, file, instruments):
        pass

    def connect(self):
        pass

    def program(self, cells, siemens, tolerance):
        return WriteReport(siemens, np.zeros(len(cells), bool))

    def safe(self):
        pass

    def snapshot(self):
        return {}


ENTRY_POINTS = """\
[hilep.drivers]
loop-source = bench_loopback:LoopSource
loop-reader = bench_loopback:LoopReader

[hilep.programmers]
direct = bench_loopback:Writer
"""


def bench_text(source, nudge, reader):
    """A bench file for three boxes."""
    return f"""
[instruments.src]
driver = "loop-source"
resource = "{source.resource}"
[instruments.nud]
driver = "loop-source"
resource = "{nudge.resource}"
[instruments.daq]
driver = "loop-reader"
resource = "{reader.resource}"
[roles.clamp]
channels = ["src.a", "src.b"]
range_v = 2.0
limit_a = 1e-3
max_v = 1.0
[roles.nudge]
channels = ["nud.a", "nud.b"]
range_a = 1e-5
limit_v = 1.0
max_a = 1e-5
[roles.nodes]
channels = ["daq.x", "daq.y"]
range_v = 1.0
nplc = 1
[roles.program]
kind = "direct"
cells = [[["src.c", "src.d"], ["nud.c", "nud.d"]]]
map = {{volts = [0.0, 1.0], siemens = [1e-8, 1e-4]}}
max_v = 1.0
range_v = 1.0
limit_a = 1e-3
tolerance = 0.01
[settle]
seconds = 0
[interlock]
max_node_v = 1.0
"""


def run(path):
    """Train nothing, for ever, and say once that the outputs are on."""
    with Bench(BenchFile.load(path), NETWORK, unchecked=True) as bench:
        bench.program([np.full((2, 2), 1e-6)])
        bench.clamp([0.5, -0.5])
        bench.nudge([1e-6, 0.0])
        bench.read()
        print("outputs on", flush=True)
        while True:
            bench.read(3)
            time.sleep(0.01)


if __name__ == "__main__":
    run(sys.argv[1])
