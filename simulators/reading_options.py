"""Keys of `[device]` that every simulated crossbar takes: its read noise, converter and cells."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field, model_validator

from hilep.config import NotNegative, Positive, Section
from hilep.errors import BadInputError, ConfigError
from hilep.network import Network
from hilep.simulators.cells.options import CellOptions
from hilep.streams import stream

if TYPE_CHECKING:
    from hilep.simulators.cells.thermal import ThermalNoise
    from hilep.simulators.imperfect import ImperfectCells
    from hilep.simulators.noise import ReadNoise


class ReadingOptions(Section):
    """What simulated crossbars have in common.

    Attributes:
        sigma_v: standard deviation of a read in volts, for all free nodes or one each.
        clamped_noise: the input nodes are read too, with the same sigma.
        adc_bits, adc_range_v: a converter from -range to +range; both or none.
        cells: see `CellOptions`; ideal unless given.
        seed: of the noise and of the cells.
        twin_of: calibration file of the device to resemble, relative to where the command is run.
            It sets `sigma_v` and, where conductances were measured, the stuck cells and the write
            noise of `cells`; what is given besides goes first.
    """

    sigma_v: NotNegative | list[NotNegative] = 0.0
    clamped_noise: bool = False
    adc_bits: Annotated[int, Field(ge=1, le=32)] | None = None
    adc_range_v: Positive | None = None
    cells: CellOptions | None = None
    seed: Annotated[int, Field(ge=0)] = 0
    twin_of: Annotated[str, Field(min_length=1)] | None = None

    @model_validator(mode="before")
    @classmethod
    def _as_measured(cls, given: Any) -> Any:
        path = given.get("twin_of") if isinstance(given, dict) else None
        if not isinstance(path, str) or not path:
            return given
        from hilep.measured import MeasuredDevice

        try:
            measured = MeasuredDevice.load(path)
        except BadInputError as error:
            raise ValueError(f"twin_of: {error}") from error
        pooled = bool(given.get("clamped_noise"))
        found = {"sigma_v": measured.pooled_v if pooled else measured.sigma_v, **given}
        cells = given.get("cells")
        if measured.cells and (cells is None or isinstance(cells, dict)):
            found["cells"] = {**measured.cells, **(cells or {})}
        return found

    @model_validator(mode="after")
    def _whole(self) -> ReadingOptions:
        if (self.adc_bits is None) != (self.adc_range_v is None):
            raise ValueError("give adc_bits and adc_range_v, both or none")
        if self.clamped_noise and isinstance(self.sigma_v, list):
            raise ValueError("clamped_noise needs one sigma_v for all nodes, not a list")
        return self

    def noise(self, network: Network) -> ReadNoise:
        """Return the read noise that these keys describe.

        Raises:
            BadInputError: for sigma of another number of nodes than the network has.
        """
        from hilep.simulators.noise import Converter, ReadNoise

        converter = None
        if self.adc_bits is not None and self.adc_range_v is not None:
            converter = Converter(self.adc_bits, self.adc_range_v)
        clamped_sigma = 0.0
        if self.clamped_noise and not isinstance(self.sigma_v, list):
            clamped_sigma = self.sigma_v
        if (
            self.twin_of is not None
            and isinstance(self.sigma_v, list)
            and len(self.sigma_v) != network.free_nodes
        ):
            raise ConfigError(
                f"device.twin_of, or sigma_v beside it: expected sigma of {network.free_nodes} "
                f"free nodes as the network has, got {len(self.sigma_v)}: {self.twin_of}"
            )
        return ReadNoise(
            network, self.sigma_v, stream(self.seed, "noise"), clamped_sigma, converter
        )

    def imperfect(self, network: Network) -> ImperfectCells | None:
        """Return the cells that these keys describe, or None where they are ideal."""
        if self.cells is None or self.cells.ideal:
            return None
        from hilep.simulators.cells.options import build
        from hilep.simulators.imperfect import ImperfectCells

        options = self.cells
        return ImperfectCells(
            network,
            build(network, options, self.seed),
            options.programming,
            options.read_s,
            options.update_s,
            options.deadband_siemens,
        )

    @property
    def thermal(self) -> ThermalNoise | None:
        """Thermal noise of reads, or None."""
        return None if self.cells is None else self.cells.thermal
