"""An arterial input function that shows how and where it was found."""

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float, Int

from bolus.core.arrays import read_only
from bolus.core.provenance import Provenance
from bolus.core.quantities import Quantity
from bolus.core.timing import TimeAxis
from bolus.errors import Code, TimingError


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ArterialInput:
    """One arterial curve, its times, and where it came from.

    `method` says how it was found ("automatic", "file NAME", "region NAME").
    `voxels` are the indices (n, 3) it was averaged over, empty for a curve from a file.
    `score` is 0 (unusable) to 1 (textbook artery), NaN if it was not judged.
    `candidates` are the curves (n, t) of the best-scored voxels, for the report and the spread.
    """

    values: Float[np.ndarray, " t"]
    time: TimeAxis
    quantity: Quantity
    method: str
    provenance: Provenance
    voxels: Int[np.ndarray, "n 3"]
    score: float = float("nan")
    candidates: Float[np.ndarray, "m t"] | None = None

    def __post_init__(self) -> None:
        if len(self.values) != len(self.time):
            raise TimingError(
                Code.TIME_INVALID,
                f"the arterial curve has {len(self.values)} values but {len(self.time)} times",
                mend="give one time per value",
            )
        object.__setattr__(self, "values", read_only(np.asarray(self.values, np.float64)))
        object.__setattr__(self, "voxels", read_only(np.asarray(self.voxels, np.int64)))

    def from_frame(self, frame: int) -> "ArterialInput":
        """Return the curve without its first samples; times keep their clock."""
        shown = None if self.candidates is None else self.candidates[:, frame:]
        return replace(
            self,
            values=self.values[frame:],
            time=TimeAxis(seconds=self.time.seconds[frame:]),
            candidates=shown,
        )
