"""An arterial curve that somebody brought: on the times of the series, as ΔR2*, and judged."""

import numpy as np

from bolus.core import DELTA_R2S, SIGNAL, ArterialInput, Curve, PerfusionSeries, Step
from bolus.errors import Code, MetadataError, TimingError
from bolus.quantify.aif import score_aif
from bolus.quantify.bolus import BolusTiming


def aif_from_curve(
    given: ArterialInput, series: PerfusionSeries, bolus: BolusTiming
) -> ArterialInput:
    """Bring a given arterial curve onto the times of a series.

    A signal becomes ΔR2* = -ln(S / S_BL) / TE with the baseline of the series; between samples the
    curve is linear; before its first sample it is its first value.

    Args:
        given: signal [a.u.] or ΔR2* [1/s], any times on the clock of the series.
        series: ΔR2* [1/s] that will be deconvolved.
        bolus: from `find_bolus` on the same scan.

    Returns:
        ΔR2* [1/s] on the times of the series, with its score.

    Raises:
        MetadataError: a concentration (its relaxivity is not known), or a signal that is not
            positive.
        TimingError: the curve ends before the series does.

    Assumes:
        Its clock starts with the first frame of the series.

    Source:
        OSIPI CAPLEX Q.EL1.009.

    Example:
        >>> from bolus.quantify import BolusTiming, aif_from_curve
        >>> time = TimeAxis.regular(40, step_s=1.5)
        >>> bolus = BolusTiming(steady=0, baseline=slice(0, 8), arrival=8, peak=12,
        ...     first_pass_end=20, mean_signal=np.ones(40), contrast_to_noise=80.0)
        >>> values = 60 * np.exp(-((np.arange(40) - 11) / 2.0) ** 2)
        >>> given = ArterialInput(values=values, time=time, quantity=DELTA_R2S, method="file a.tsv",
        ...     provenance=Provenance(), voxels=np.empty((0, 3), int))
        >>> series = PerfusionSeries(values=np.zeros((1, 1, 1, 40)), quantity=DELTA_R2S,
        ...     grid=Grid(shape=(1, 1, 1), affine=np.eye(4)), time=time,
        ...     acquisition=Acquisition(), provenance=Provenance())
        >>> aif_from_curve(given, series, bolus).method
        'file a.tsv'
    """
    series.require(DELTA_R2S)
    values = _on_times(given, series.time.seconds)
    if given.quantity.key == SIGNAL.key:
        values = _rate(values, bolus.baseline, series.acquisition.require("echo_time_s"))
    elif given.quantity.key != DELTA_R2S.key:
        raise MetadataError(
            Code.QUANTITY_WRONG,
            f"the arterial curve is {given.quantity.symbol} [{given.quantity.unit}] where "
            f"{DELTA_R2S.symbol} [{DELTA_R2S.unit}] or a signal is needed",
            mend="multiply by the transverse relaxivity of blood and call the column delta_r2s",
        )
    step = Step("quantify.aif_from_curve", {"method": given.method, "was": given.quantity.key})
    return ArterialInput(
        values=values,
        time=series.time,
        quantity=DELTA_R2S,
        method=given.method,
        provenance=given.provenance.then(step),
        voxels=given.voxels,
        score=score_aif(values, series.time.seconds, bolus),
    )


def _on_times(given: ArterialInput, seconds: Curve) -> Curve:
    own = given.time.seconds
    slack = float(np.median(np.diff(seconds)))
    if own[-1] < seconds[-1] - slack or own[0] > seconds[0] + slack:
        raise TimingError(
            Code.TIME_INVALID,
            f"the arterial curve runs from {own[0]:.3g} to {own[-1]:.3g} s but the series from "
            f"{seconds[0]:.3g} to {seconds[-1]:.3g} s",
            mend="give the whole curve, with times in seconds from the first frame",
        )
    return np.asarray(np.interp(seconds, own, given.values))


def _rate(signal: Curve, baseline: slice, echo_time_s: float) -> Curve:
    before = float(signal[baseline].mean())
    if not before > 0 or not (signal > 0).all():
        raise MetadataError(
            Code.AIF_NOT_FOUND,
            f"the arterial signal is not positive (baseline {before:.3g}, "
            f"minimum {signal.min():.3g})",
            mend="give the signal as measured, or the column delta_r2s",
        )
    return np.asarray(-np.log(signal / before) / echo_time_s)
