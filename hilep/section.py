"""A section of a configuration file, and the kinds of numbers that its keys take."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field


def _per_layer(value: Any) -> Any:
    """Read one number as a list of one, so that a value may be given once or once per layer."""
    return value if isinstance(value, (list, tuple)) else [value]


Count = Annotated[int, Field(ge=1, le=2**53)]
Nodes = Annotated[int, Field(ge=1, le=2**31)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NotNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
PerLayer = Annotated[list[NotNegative], BeforeValidator(_per_layer), Field(min_length=1)]


class Section(BaseModel):
    """A section of the file: unknown keys are errors and numbers are never guessed from text."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)
