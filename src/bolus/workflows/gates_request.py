"""What every chapter of a certificate is asked for."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

GOALS = "science gates of bolus, set by us"
"""Where limits come from that no publication gives: chosen before the code was measured."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """How much work a certificate may take.

    `shape` and `voxel_mm` are the grid of whole exams: no coarser than an artery allows, or the
    arterial curve is flattened and every transit time with it. `protocols` are those of whole
    exams, the first of them with rescan; `noisy_copies` the noise realisations of each curve.
    """

    name: str
    shape: tuple[int, int, int]
    voxel_mm: tuple[float, float, float]
    protocols: tuple[str, ...]
    noisy_copies: int
    uncorrected: bool
    """Whether whole exams are also quantified without leakage correction."""
    dce_shape: tuple[int, int, int]
    """Grid of whole DCE exams."""
    dce_voxel_mm: tuple[float, float, float]
    dce_arteries: tuple[str, ...]
    """Arterial inputs of whole DCE exams, as the settings name them; the first is run twice."""
    snrs: tuple[float, ...]
    """At which the cover of intervals is drawn."""


PROFILES: Mapping[str, Profile] = MappingProxyType(
    {
        "quick": Profile(
            name="quick",
            shape=(96, 96, 18),
            voxel_mm=(2.3, 2.3, 6.5),
            protocols=("preload_60",),
            noisy_copies=40,
            uncorrected=False,
            dce_shape=(48, 48, 12),
            dce_voxel_mm=(4.6, 4.6, 10.0),
            dce_arteries=("auto", "parker"),
            snrs=(10.0, 50.0, 200.0),
        ),
        "full": Profile(
            name="full",
            shape=(128, 128, 20),
            voxel_mm=(1.72, 1.72, 6.0),
            protocols=("preload_60", "no_preload_30", "no_preload_60", "dual_echo"),
            noisy_copies=400,
            uncorrected=True,
            dce_shape=(96, 96, 24),
            dce_voxel_mm=(2.3, 2.3, 5.0),
            dce_arteries=("auto", "dsc", "parker"),
            snrs=(10.0, 20.0, 50.0, 100.0, 200.0),
        ),
    }
)
"""The grid of "full" is that of the protocols themselves."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GateRequest:
    """What decides the numbers of a chapter; `reference` is the folder of reference data."""

    seed: int
    profile: Profile
    reference: Path | None = None
