"""How the simulated scan is made: pulse sequence, injection, preload; named protocols."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

from bolus.core.timing import Acquisition
from bolus.errors import Code, MetadataError


@dataclass(frozen=True, slots=True, kw_only=True)
class DscProtocol:
    """One DSC acquisition by single-shot gradient-echo EPI, with its injection.

    `echo_times_s` holds one or two echoes; `repetition_time_s` is also the frame interval.
    The preload of `preload_mmol_per_kg` was given `preload_minutes` before the first frame.
    """

    echo_times_s: tuple[float, ...]
    repetition_time_s: float
    flip_angle_deg: float
    field_strength_t: float
    frames: int
    dose_mmol_per_kg: float
    preload_mmol_per_kg: float
    preload_minutes: float
    injection_s: float
    injection_rate_ml_per_s: float = 5.0
    dummies: int = 0
    shape: tuple[int, int, int] = (128, 128, 20)
    voxel_mm: tuple[float, float, float] = (1.72, 1.72, 6.0)
    orientation: str = "LAS"

    def __post_init__(self) -> None:
        if len(self.echo_times_s) not in (1, 2) or min(self.echo_times_s) <= 0:
            raise MetadataError(
                Code.ECHO_TIMES_INVALID,
                f"echo times {self.echo_times_s} s are not one or two positive numbers",
                mend="give one echo time, or two for dual echo, in seconds",
            )

    def acquisition(self, echo: int) -> Acquisition:
        """Return what a sidecar would state of one echo (0 or 1)."""
        return Acquisition(
            echo_time_s=self.echo_times_s[echo],
            repetition_time_s=self.repetition_time_s,
            flip_angle_deg=self.flip_angle_deg,
            field_strength_t=self.field_strength_t,
            contrast_agent="gadopentetate dimeglumine",
            contrast_dose_mmol_per_kg=self.dose_mmol_per_kg,
            preload_dose_mmol_per_kg=self.preload_mmol_per_kg,
            injection_rate_ml_per_s=self.injection_rate_ml_per_s,
            sequence="GRE-EPI",
        )


def _single(*, flip_angle_deg: float, preload_mmol_per_kg: float) -> DscProtocol:
    return DscProtocol(
        echo_times_s=(0.030,),
        repetition_time_s=1.5,
        flip_angle_deg=flip_angle_deg,
        field_strength_t=3.0,
        frames=60,
        dose_mmol_per_kg=0.1,
        preload_mmol_per_kg=preload_mmol_per_kg,
        preload_minutes=6.0,
        injection_s=8.0,
    )


PROTOCOLS: Mapping[str, DscProtocol] = MappingProxyType(
    {
        "preload_60": _single(flip_angle_deg=60.0, preload_mmol_per_kg=0.1),
        "no_preload_30": _single(flip_angle_deg=30.0, preload_mmol_per_kg=0.0),
        "no_preload_60": _single(flip_angle_deg=60.0, preload_mmol_per_kg=0.0),
        "reference_cohort": replace(
            _single(flip_angle_deg=60.0, preload_mmol_per_kg=0.1), dummies=3, injection_s=4.5
        ),
        "dual_echo": DscProtocol(
            echo_times_s=(0.0088, 0.026),
            repetition_time_s=1.5,
            flip_angle_deg=60.0,
            field_strength_t=3.0,
            frames=60,
            dose_mmol_per_kg=0.1,
            preload_mmol_per_kg=0.0,
            preload_minutes=6.0,
            injection_s=8.0,
        ),
    }
)
"""The two consensus protocols (Boxerman et al., Neuro Oncol 2020;22:1262), one that invites T1
leakage, one as the published patients' curves suggest (their first frames are 6 % above the
steady state and fall by two thirds a frame, so 60 degrees after three pulses), and a dual echo."""
