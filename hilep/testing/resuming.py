"""Laws of state and snapshot: a run goes on where it was, and says on what it ran."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from hilep.crossbar import Crossbar
from hilep.nudging import Nudging
from hilep.testing.updates import UpdateLaws


class ResumingLaws(UpdateLaws):
    """Laws of `state`, `restore` and `snapshot`. A bench, whose state is {}, skips the first."""

    def test_reads_repeat_bit_for_bit_from_a_restored_state(self) -> None:
        """On the same device and on a fresh one, after the state has gone through JSON text.

        In the order of a resumed training: program, restore, then the two phases of a batch.
        """
        for seed, network in enumerate(self.networks()):
            generator = np.random.default_rng((61, seed))
            half = self.draw_volts((4, (network.inputs + 1) // 2), generator)
            # Mirrored as doubled inputs are, and hinted at: a resumed device has not had the hint.
            images = np.concatenate([half, -half], axis=1)[:, : network.inputs]
            aims = 0.25 * self.draw_volts((4, network.outputs), generator)
            with self.programmed(network, generator) as device:
                self.everything(device, images, aims)
                if device.state() == {}:
                    pytest.skip("this device has no state")
                device.update([self.draw_update(network, generator, 4, 0.1)], images)
                text = json.dumps(device.state(), allow_nan=False)
                siemens = [g.copy() for g in device.conductances()]
                bias = device.bias_currents().copy() if network.bias == "current" else None
                first = self.everything(device, images, aims)
                device.restore(json.loads(text))
                again = self.everything(device, images, aims)
            with self.build(network) as device:
                device.program(siemens, bias)
                device.restore(json.loads(text))
                fresh = self.everything(device, images, aims)
            for what, values in first.items():
                assert np.array_equal(values, again[what]), f"{what}, same device"
                assert np.array_equal(values, fresh[what]), f"{what}, fresh device"

    def everything(self, device: Crossbar, images: Any, aims: Any) -> dict[str, Any]:
        """Return what every verb that reads gives for the same inputs."""
        nudging = Nudging("current", (-0.25 * self.siemens, 0.25 * self.siemens))
        pair = device.free_and_nudged(images, aims, nudging, 5, "samples")
        samples = [block[1].volts for block in pair.sample_blocks() if block[1].volts is not None]
        batch = device.read_batch(images, 2)
        device.clamp(images[0])
        free = device.read(3)
        device.nudge(np.full(device.network.outputs, self.siemens * self.volts))
        nudged = device.read(3)
        return {
            "read_batch": batch.mean,
            "free read": free.volts,
            "nudged read": nudged.volts,
            "first phase": pair.first.mean,
            "second phase": pair.second.mean,
            "free outputs": pair.free_outputs,
            "samples": np.concatenate(samples),
        }

    def test_a_snapshot_is_plain_json(self) -> None:
        """`snapshot` and `state` are JSON objects without NaN, before and after programming."""
        network = self.network()
        with self.build(network) as device:
            for _ in range(2):
                for plain in (device.snapshot(), device.state()):
                    assert json.loads(json.dumps(plain, allow_nan=False)) == plain
                device.program(self.draw_siemens(network, np.random.default_rng(62)))
