"""What two versions say of the same rows, as columns."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bentos.contract import Columns, Floats

Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class Pairs:
    """n rows. NaN stands for what is not known."""

    columns: Columns
    """The inputs."""
    champion: Floats
    """Scores as the audit keeps them: the probability, or the prediction in units of the answer."""
    challenger: Floats
    """NaN where it failed."""
    decided: Flags | None
    """Whether the champion's decision is the positive one; None for a regression."""
    decides: Flags | None
    outcome: Floats
    champion_us: Floats
    """Time of a call with this row alone, of some rows, in microseconds."""
    challenger_us: Floats
    errors: Sequence[str] = ()
    """What the challenger said where it failed; some of them are enough."""

    @property
    def scored(self) -> Flags:
        found: Flags = np.isfinite(self.challenger) & np.isfinite(self.champion)
        return found
