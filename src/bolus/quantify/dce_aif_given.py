"""An arterial curve that somebody brought to a DCE scan: as concentration, on its clock."""

from dataclasses import replace

import numpy as np

from bolus.core import CONCENTRATION, SIGNAL, ArterialInput, Assumed, Step
from bolus.errors import Code, MetadataError, QuantityError
from bolus.quantify.concentration import concentration_curves
from bolus.quantify.spgr import Sequence


def dce_aif_from_curve(
    given: ArterialInput,
    *,
    r10_per_s: "float | Assumed",
    sequence: Sequence,
    r1_per_mmolar_s: float,
    baseline: slice,
    r2s_per_mmolar_s: float | None = None,
) -> ArterialInput:
    """Return a given arterial curve as concentration.

    A concentration stays as it is; a signal is converted by the exact signal equation.

    Args:
        given: concentration [mM] or signal [a.u.], such as `io.read_curve_tsv` reads; any times.
        r10_per_s: native rate of blood [1/s]; used for a signal only, like all that follows.
        sequence: how the signal was made.
        r1_per_mmolar_s: relaxivity.
        baseline: samples of `given` before the agent.
        r2s_per_mmolar_s: transverse relaxivity; None leaves T2* out.

    Returns:
        Concentration [mM] on its own times; of whole blood where it came as a signal, of what its
        file says otherwise.

    Raises:
        QuantityError: the curve is neither.
        MetadataError: AIF_NOT_FOUND a sample has no concentration (above the limit of the signal,
            not finite, or no baseline).
        TimingError: the baseline holds no sample.

    Assumes:
        Its clock is that of the series.

    Source:
        `concentration_curves`.

    Example:
        >>> from bolus.quantify.dce_aif_given import dce_aif_from_curve
        >>> from bolus.quantify.spgr import SpoiledGradientEcho
        >>> flash = SpoiledGradientEcho(repetition_time_s=0.005, flip_angle_deg=15.0)
        >>> held = flash.magnetisation(0.6 + 3.7 * np.array([0.0, 4.0, 1.0]))
        >>> given = ArterialInput(values=80 * held, time=TimeAxis.regular(3, step_s=4.0),
        ...     quantity=SIGNAL, method="file a.tsv", provenance=Provenance(),
        ...     voxels=np.empty((0, 3), int))
        >>> dce_aif_from_curve(given, r10_per_s=0.6, sequence=flash, r1_per_mmolar_s=3.7,
        ...     baseline=slice(0, 1)).values.round(6).tolist()[1:]
        [4.0, 1.0]
    """
    if given.quantity.key == CONCENTRATION.key:
        return given
    if given.quantity.key != SIGNAL.key:
        raise QuantityError(
            Code.QUANTITY_WRONG,
            f"the arterial curve is {given.quantity.symbol} [{given.quantity.unit}] where "
            f"{CONCENTRATION.symbol} [{CONCENTRATION.unit}] or a signal is needed",
            mend="give the column conc or signal; a DSC curve goes through aif_from_dsc",
        )
    native = r10_per_s.value if isinstance(r10_per_s, Assumed) else float(r10_per_s)
    result = concentration_curves(
        given.values[None],
        r10_per_s=np.array([native]),
        sequence=sequence,
        r1_per_mmolar_s=r1_per_mmolar_s,
        baseline=baseline,
        r2s_per_mmolar_s=r2s_per_mmolar_s,
    )
    lost = ~np.isfinite(result.values[0])
    if lost.any():
        raise MetadataError(
            Code.AIF_NOT_FOUND,
            f"{int(lost.sum())} of {len(lost)} samples of the arterial signal have no "
            f"concentration (first: sample {int(np.argmax(lost))}, {given.values[lost][0]:.4g})",
            mend="check R10 of blood, flip angle and TR, or give a concentration",
        )
    step = Step(
        "quantify.dce_aif_from_curve",
        {
            "r10_per_s": native,
            "r1_per_mmolar_s": r1_per_mmolar_s,
            "r2s_per_mmolar_s": r2s_per_mmolar_s,
            "sequence": repr(sequence),
            "baseline": f"{baseline.start}:{baseline.stop}",
        },
        source="Q.IC1.001",
    )
    return replace(
        given,
        values=result.values[0],
        quantity=CONCENTRATION,
        provenance=given.provenance.then(step),
        candidates=None,
    )
