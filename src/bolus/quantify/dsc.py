"""From leakage-corrected ΔR2* and one artery to CBV, CBF, MTT and Tmax."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from bolus.core import (
    DELTA_R2S,
    QUANTITIES,
    ArterialInput,
    Assumed,
    FitStatus,
    MapSet,
    Mask,
    ParameterMap,
    PerfusionSeries,
    Step,
)
from bolus.errors import Code, MetadataError
from bolus.quantify.deconvolution import Deconvolver, flow
from bolus.quantify.leakage import LeakageResult
from bolus.quantify.vascular import VascularModel

_PER_MINUTE_PER_100ML = 6000.0
"""From mL per mL per second to mL/min/100mL."""

_SVD_SOURCES: Mapping[str, str] = MappingProxyType(
    {
        "Ssvd": "10.1002/mrm.1910360510",
        "Csvd": "10.1002/mrm.10522",
        "Osvd": "10.1002/mrm.10522",
        "Tikhonov": "10.1007/s10334-010-0217-8",
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Haematocrit:
    """The share of blood that contrast agent does not enter, in arteries and in capillaries.

    `factor` is (1 - large) / (1 - small): tissue holds more blood than its plasma shows. Without a
    measured value state an `Assumed`, which the report shows; ratios such as nCBV do not depend
    on it.

    Raises:
        MetadataError: a value is not between 0 and 1 (45 is a percentage).

    Example:
        >>> round(Haematocrit(large=0.45, small=0.25).factor, 4)
        0.7333
    """

    large: float | Assumed
    small: float | Assumed

    def __post_init__(self) -> None:
        for name in ("large", "small"):
            value = _number(getattr(self, name))
            if not 0 < value < 1:
                raise MetadataError(
                    Code.METADATA_IMPLAUSIBLE,
                    f"haematocrit ({name} vessels) is {value:g}, expected a fraction such as 0.45",
                    mend=f"give {value / 100:g}" if 1 < value < 100 else "give a fraction",
                )

    @property
    def factor(self) -> float:
        """(1 - large) / (1 - small)."""
        return (1 - _number(self.large)) / (1 - _number(self.small))


def _number(value: float | Assumed) -> float:
    return value.value if isinstance(value, Assumed) else value


def arterial_area(aif: ArterialInput, *, from_frame: int) -> float:
    """Return the area under the arterial ΔR2* curve from a frame to the end.

    Args:
        aif: ΔR2* [1/s], baseline zero.
        from_frame: where integration begins (bolus arrival); tissue is integrated alike.

    Returns:
        ∫ ΔR2* dt, dimensionless ([1/s] x [s]).

    Raises:
        MetadataError: the area is not positive, so nothing can be divided by it.

    Assumes:
        Recirculation adds the same share to artery and tissue, so that whole curves may be
        compared once leakage is removed.

    Source:
        OSIPI CAPLEX Q.PH1.001.b; Østergaard, J Magn Reson Imaging 2005;22:710.
    """
    area = float(np.trapezoid(aif.values[from_frame:], aif.time.seconds[from_frame:]))
    if not area > 0:
        raise MetadataError(
            Code.AIF_NOT_FOUND,
            f"the area under the arterial curve is {area:.3g}, expected a positive number",
            mend="choose another artery with --aif",
        )
    return area


def blood_volume(
    leakage: LeakageResult, aif: ArterialInput, mask: Mask, *, haematocrit: Haematocrit
) -> ParameterMap:
    """Divide the tissue's area under ΔR2* by the artery's.

    CBV = 100 (1 - Hct_large) / (1 - Hct_small) ∫ΔR2*_tissue dt / ∫ΔR2*_artery dt. Negative areas
    are kept: noise around zero must average to zero.

    Args:
        leakage: areas (corrected, or not) with their standard errors, voxel by voxel.
        aif: arterial ΔR2* [1/s].
        mask: the voxels of `leakage`.
        haematocrit: of large and small vessels.

    Returns:
        CBV [mL/100mL]; its standard error does not contain that of the artery, which scales the
        whole map and cancels in every ratio.

    Raises:
        MetadataError: the arterial area is not positive.

    Assumes:
        The same relaxivity in blood and tissue, and an artery free of partial volume.

    Source:
        OSIPI CAPLEX Q.PH1.001.b; Østergaard, J Magn Reson Imaging 2005;22:710.
    """
    scale = 100 * haematocrit.factor / arterial_area(aif, from_frame=leakage.from_frame)
    step = Step(
        "quantify.blood_volume",
        {
            "haematocrit_large": _number(haematocrit.large),
            "haematocrit_small": _number(haematocrit.small),
        },
        source="10.1002/jmri.20460",
    )
    return ParameterMap.from_voxels(
        scale * leakage.area,
        quantity=QUANTITIES["cbv"],
        mask=mask,
        provenance=leakage.series.provenance.merged(aif.provenance).then(step),
        status=leakage.status,
        std=scale * leakage.area_std,
    )


def vascular_maps(
    series: PerfusionSeries,
    mask: Mask,
    aif: ArterialInput,
    *,
    model: VascularModel,
    haematocrit: Haematocrit,
) -> MapSet:
    """Fit the vascular model in every voxel: CBF, MTT and delay with standard errors.

    Args:
        series: ΔR2* [1/s], leakage removed; any times.
        mask: voxels to fit.
        aif: arterial ΔR2* [1/s] on the times of the series.
        model: the vascular model and its settings.
        haematocrit: of large and small vessels.

    Returns:
        `cbf` [mL/min/100mL], `mtt` [s] and `delay` [s], each with a status per voxel.

    Raises:
        QuantityError: the series is not ΔR2*.
        TimingError: artery and series have other times.

    Assumes:
        See `VascularModel`.

    Source:
        Mouridsen et al., NeuroImage 2006;33:570. OSIPI CAPLEX Q.PH1.003, Q.PH1.006.
    """
    tissue = series.require(DELTA_R2S).curves(mask, dtype=np.float32)
    fit = model(tissue, aif.values, seconds=series.time.seconds)
    step = Step(
        "quantify.vascular_maps",
        {"shape_centre": model.shape_centre, "haematocrit_factor": haematocrit.factor},
        source="10.1016/j.neuroimage.2006.06.015",
    )
    history = series.provenance.merged(aif.provenance).then(step)
    scale = haematocrit.factor * _PER_MINUTE_PER_100ML
    columns = {
        "cbf": (scale * fit.flow_per_s, scale * fit.flow_std_per_s),
        "mtt": (fit.mtt_s, fit.mtt_std_s),
        "delay": (fit.delay_s, fit.delay_std_s),
    }
    return MapSet(
        {
            key: ParameterMap.from_voxels(
                values,
                quantity=QUANTITIES[key],
                mask=mask,
                provenance=history,
                status=fit.status,
                std=std,
            )
            for key, (values, std) in columns.items()
        }
    )


def svd_maps(
    series: PerfusionSeries,
    mask: Mask,
    aif: ArterialInput,
    *,
    method: Deconvolver,
    haematocrit: Haematocrit,
) -> MapSet:
    """Deconvolve every voxel: CBF with its standard error, and Tmax.

    CBF = (1 - Hct_large) / (1 - Hct_small) max R(t); Tmax is the lag of that maximum.

    Args:
        series: ΔR2* [1/s], leakage removed, at a constant interval.
        mask: voxels to deconvolve.
        aif: arterial ΔR2* [1/s] on the times of the series.
        method: one of `DECONVOLVERS`, with its settings.
        haematocrit: of large and small vessels.

    Returns:
        `cbf` [mL/min/100mL] and `tmax` [s].

    Raises:
        QuantityError: the series is not ΔR2*.
        TimingError: sampling is not uniform.

    Assumes:
        Truncation costs flow: see docs/science/cbf.md for how much.

    Source:
        Wu et al., Magn Reson Med 2003;50:164-174. OSIPI CAPLEX Q.PH1.003.
    """
    tissue = series.require(DELTA_R2S).curves(mask, dtype=np.float32)
    per_s, delay_s, std, status = flow(
        tissue, aif.values, step_s=series.time.uniform_step_s(), method=method
    )
    step = Step(
        "quantify.svd_maps",
        {"method": type(method).__name__, "haematocrit_factor": haematocrit.factor},
        source=_SVD_SOURCES.get(type(method).__name__, ""),
    )
    history = series.provenance.merged(aif.provenance).then(step)
    scale = haematocrit.factor * _PER_MINUTE_PER_100ML
    cbf = ParameterMap.from_voxels(
        scale * per_s,
        quantity=QUANTITIES["cbf"],
        mask=mask,
        provenance=history,
        status=status,
        std=scale * std,
    )
    tmax = ParameterMap.from_voxels(
        delay_s, quantity=QUANTITIES["tmax"], mask=mask, provenance=history, status=status
    )
    return MapSet({"cbf": cbf, "tmax": tmax})


def transit_time(cbv: ParameterMap, cbf: ParameterMap, mask: Mask) -> ParameterMap:
    """Divide volume by flow: MTT = 60 CBV / CBF (central volume theorem).

    Args:
        cbv: [mL/100mL].
        cbf: [mL/min/100mL] on the same grid.
        mask: voxels both were computed in.

    Returns:
        MTT [s]; NaN with NOT_CONVERGED where the flow is not positive. The standard error treats
        the errors of volume and flow as independent, which overstates it.

    Raises:
        GeometryError: the maps lie on different grids.

    Assumes:
        The same haematocrit factor in both, so that it cancels.

    Source:
        Stewart 1894; Meier and Zierler, J Appl Physiol 1954;6:731-744. OSIPI CAPLEX Q.PH1.006.
    """
    cbv.grid.require_match(cbf.grid, what="the CBF map")
    volume, per_minute = cbv.values[mask.values], cbf.values[mask.values]
    status = np.maximum(cbv.status[mask.values], cbf.status[mask.values])
    flows = np.isfinite(per_minute) & (per_minute > 0)
    with np.errstate(invalid="ignore", divide="ignore"):
        mtt = np.where(flows, 60 * volume / per_minute, np.nan)
        std = None
        if cbv.std is not None and cbf.std is not None:
            share = np.hypot(cbv.std[mask.values] / volume, cbf.std[mask.values] / per_minute)
            std = np.abs(mtt) * share
    status = np.where(~flows & (status == FitStatus.OK), FitStatus.NOT_CONVERGED, status)
    return ParameterMap.from_voxels(
        mtt,
        quantity=QUANTITIES["mtt"],
        mask=mask,
        provenance=cbv.provenance.merged(cbf.provenance).then(Step("quantify.transit_time", {})),
        status=status,
        std=std,
    )
