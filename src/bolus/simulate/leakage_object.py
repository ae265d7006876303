"""Leaking voxels, T1- and T2*-dominant: the gate that leakage correction must pass.

Every combination of blood volume, permeability, extracellular space and relaxivity of leaked
agent is one voxel, beside normal white and grey matter. Ranges: docs/explanation/simulator.md.
"""

from dataclasses import dataclass

import numpy as np

from bolus.core.geometry import Grid
from bolus.core.provenance import Provenance, Step
from bolus.core.quantities import SIGNAL
from bolus.core.regions import LabelMap, Mask
from bolus.core.series import PerfusionSeries
from bolus.core.timing import TimeAxis
from bolus.simulate.patient import PatientSettings, forward_model, injected_bolus
from bolus.simulate.phantom import TissueVoxels
from bolus.simulate.scanner import inject, native_at, tissue_signal
from bolus.simulate.tissues import TISSUES

_NCBV = (0.6, 1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0)
_KTRANS_PER_MIN = (0.0, 0.05, 0.1, 0.15, 0.2, 0.3)
_VE = (10.0, 20.0, 30.0, 50.0)
_CELLS = (5.0, 15.0, 25.0, 40.0)
_NORMAL = 64


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LeakageObject:
    """Voxels in one column, first the combinations, then normal white and grey matter.

    `ncbv` is the truth (voxels,); `ktrans_per_min`, `ve` [mL/100mL] and `r2s_extravascular`
    [1/s per mM] say what each voxel is. `regions` names "leaky", "tight", "white", "grey".
    """

    signal: PerfusionSeries
    ncbv: np.ndarray
    ktrans_per_min: np.ndarray
    ve: np.ndarray
    r2s_extravascular: np.ndarray
    regions: LabelMap

    @property
    def voxels(self) -> Mask:
        """All voxels, in the order of `ncbv`."""
        return Mask(
            values=np.ones(self.signal.grid.shape, bool), grid=self.signal.grid, name="object"
        )


def build_leakage_object(
    settings: PatientSettings, *, mtt_s: float = TISSUES["wm"].mtt_s
) -> LeakageObject:
    """Build the object under a protocol, without noise, motion or partial volume.

    Args:
        settings: protocol, physiology, residue and switches; the rest is not used.
        mtt_s: mean transit time of the combinations; that of white matter separates leakage
            from dispersion, another one mixes the two.

    Example:
        >>> from bolus.simulate import PatientSettings, build_leakage_object
        >>> phantom = build_leakage_object(PatientSettings(seed=1))
        >>> phantom.regions.mask("tight").count, phantom.regions.mask("leaky").count
        (128, 640)
    """
    ncbv, ktrans, ve, cells = (a.ravel() for a in np.meshgrid(_NCBV, _KTRANS_PER_MIN, _VE, _CELLS))
    white, grey = TISSUES["wm"], TISSUES["gm"]
    protocol = settings.protocol
    injection, model = inject(injected_bolus(settings), protocol), forward_model(settings)
    tumour = tissue_signal(
        _voxels(white.cbv * ncbv, ktrans=ktrans, ve=ve, mtt_s=mtt_s, delay_s=white.delay_s),
        injection,
        model,
        native=native_at(TISSUES["hypovascular"].native, protocol.field_strength_t),
        extravascular_per_mmolar_s=cells[:, None] * model.relaxivities.extravascular_scale,
    )[0]
    none = np.zeros(_NORMAL)
    normal = [
        tissue_signal(
            _voxels(none + m.cbv, ktrans=none, ve=none, mtt_s=m.mtt_s, delay_s=m.delay_s),
            injection,
            model,
            native=native_at(m.native, protocol.field_strength_t),
            extravascular_per_mmolar_s=0.0,
        )[0]
        for m in (white, grey)
    ]
    values = 1000 * np.concatenate([tumour, *normal])
    labels = np.concatenate(
        [np.where(ktrans > 0, 1, 2), np.full(_NORMAL, 3), np.full(_NORMAL, 4)]
    ).astype(np.uint8)
    grid = Grid(shape=(len(values), 1, 1), affine=np.diag([2.0, 2.0, 5.0, 1.0]))
    series = PerfusionSeries(
        values=values[:, None, None, :],
        quantity=SIGNAL,
        grid=grid,
        time=TimeAxis.regular(protocol.frames, step_s=protocol.repetition_time_s),
        acquisition=protocol.acquisition(0),
        provenance=Provenance().then(Step("simulate.leakage_object", {"seed": settings.seed})),
    )
    return LeakageObject(
        signal=series,
        ncbv=np.concatenate([ncbv, none + 1.0, none + grey.cbv / white.cbv]),
        ktrans_per_min=np.concatenate([ktrans, none, none]),
        ve=np.concatenate([ve, none, none]),
        r2s_extravascular=np.concatenate([cells, none, none]),
        regions=LabelMap(
            values=labels[:, None, None],
            grid=grid,
            names={1: "leaky", 2: "tight", 3: "white", 4: "grey"},
        ),
    )


def _voxels(
    cbv: np.ndarray, *, ktrans: np.ndarray, ve: np.ndarray, mtt_s: float, delay_s: float
) -> TissueVoxels:
    count = len(cbv)
    return TissueVoxels(
        voxels=np.arange(count),
        share=np.ones(count),
        cbv=cbv,
        mtt_s=np.full(count, mtt_s),
        delay_s=np.full(count, delay_s),
        ktrans_per_min=ktrans,
        ve=ve,
    )
