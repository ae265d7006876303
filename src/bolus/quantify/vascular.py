"""The vascular model: flow, transit time and volume from gamma-distributed transit times."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, UInt8
from threadpoolctl import threadpool_limits

from bolus.core.arrays import Curve, Curves
from bolus.core.maps import FitStatus
from bolus.errors import Code, MetadataError, QuantityError, TimingError
from bolus.quantify.vascular_tables import Axis, VascularTables, build_tables

CHUNK = 8192
"""Voxels worked on at once; bounds the memory."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class VascularFit:
    """What the vascular model found, one number per voxel; NaN where `status` is not OK.

    Standard errors hold the uncertainty of every other parameter, the shape included.
    """

    flow_per_s: Float[np.ndarray, " voxels"]
    mtt_s: Float[np.ndarray, " voxels"]
    shape: Float[np.ndarray, " voxels"]
    delay_s: Float[np.ndarray, " voxels"]
    volume: Float[np.ndarray, " voxels"]
    """flow * MTT: the ratio of the areas under tissue and artery."""
    flow_std_per_s: Float[np.ndarray, " voxels"]
    mtt_std_s: Float[np.ndarray, " voxels"]
    volume_std: Float[np.ndarray, " voxels"]
    delay_std_s: Float[np.ndarray, " voxels"]
    residual_std: Float[np.ndarray, " voxels"]
    """Standard deviation of the curve about the fit, in the unit of the curve."""
    status: UInt8[np.ndarray, " voxels"]


@dataclass(frozen=True, slots=True, kw_only=True)
class VascularModel:
    """Fit flow, mean transit time, shape and delay of gamma-distributed transit times.

    C(t) = F * integral of AIF(t - delay - u) * R(u) du with R(u) = Q(shape, u * shape / MTT), the
    regularised upper incomplete gamma function: shape 1 is an exponential, a large shape nearly a
    boxcar. No singular values are cut off, so flow is not underestimated as by SVD.

    Assumes:
        One inlet with the arterial curve given; tracer stays in the vessels (correct leakage
        first); noise is white over the frames and alike in all of them.

    Source:
        Mouridsen et al., NeuroImage 2006;33:570-579. Variable projection: Golub and Pereyra,
        SIAM J Numer Anal 1973;10:413-432.

    Example:
        >>> from bolus.quantify.vascular_tables import tissue_curves
        >>> t = np.arange(60) * 1.5
        >>> aif = np.maximum(t - 12, 0) ** 3 * np.exp(-np.maximum(t - 12, 0) / 1.5)
        >>> tissue = 0.04 * tissue_curves(aif, t, mtt_s=np.array([4.0]), shape=np.array([2.0]),
        ...                               delay_s=np.array([1.0]))[0, 0]
        >>> fit = VascularModel()(tissue, aif, seconds=t)
        >>> round(float(6000 * fit.flow_per_s[0])), round(float(fit.mtt_s[0]), 1)
        (60, 4.0)
    """

    mtt_range_s: tuple[float, float] = (0.5, 40.0)
    """Shortest and longest mean transit time looked for [s]."""
    shape_range: tuple[float, float] = (1.0, 64.0)
    """Smallest and largest shape; 1 is one well-mixed pool, an exponential: the most dispersed."""
    delay_range_s: tuple[float, float] = (-10.0, 10.0)
    """Earliest and latest arrival behind the artery [s]."""
    shape_centre: float = 2.0
    """Most likely shape before the data are seen."""
    shape_spread: float = 3.0
    """Factor about the centre that holds 68 % of shapes before the data are seen."""
    model_error: float = 0.005
    """Error of the model itself, as a share of the curve's root mean square; keeps the prior awake
    where there is no noise."""
    free_offset: bool = False
    """Fit a constant beside the model: for curves whose baseline is itself uncertain."""
    detection: float = 5.0
    """A bolus smaller than this many standard errors of its volume is none."""
    steps: int = 30
    """Most Gauss-Newton steps."""
    template_step_s: float = 0.05
    """Grid of the arterial curve inside the convolution [s]."""

    def __call__(self, tissue: Curves, aif: Curve, *, seconds: Curve) -> VascularFit:
        """Fit every voxel.

        Args:
            tissue: (voxels, t) curves, any unit proportional to concentration.
            aif: (t,) arterial curve in the same unit.
            seconds: (t,) times [s], increasing, any spacing.

        Returns:
            Flow [1/s], MTT [s], volume [1], their standard errors and a status per voxel.

        Raises:
            TimingError: times and curves do not match, or there are fewer than 8.
            QuantityError: the arterial curve is not finite or has no area.
            MetadataError: a range of the settings is empty.
        """
        self._check(tissue, aif, seconds)
        tables = self.tables(aif, seconds)
        count = len(tissue)
        values = np.full((count, 16), np.nan)
        status = np.zeros(count, np.uint8)
        with threadpool_limits(limits=1, user_api="blas"):  # two threads cost more, not less
            for first in range(0, count, CHUNK):
                part = slice(first, min(first + CHUNK, count))
                self._fit(np.asarray(tissue[part], np.float64), tables, values[part], status[part])
        return self._named(values, status, tables)

    def tables(self, aif: Curve, seconds: Curve) -> VascularTables:
        """Build the tables of a case: what all its voxels share."""
        return build_tables(
            np.asarray(aif, np.float64),
            np.asarray(seconds, np.float64),
            log_mtt=_axis(np.log(self.mtt_range_s), spacing=0.19),
            log_shape=_axis(np.log(self.shape_range), spacing=0.5),
            delay=_axis(np.asarray(self.delay_range_s), spacing=0.5),
            free_offset=self.free_offset,
            step_s=self.template_step_s,
        )

    def _check(self, tissue: Curves, aif: Curve, seconds: Curve) -> None:
        if tissue.ndim != 2 or tissue.shape[1] != len(seconds) or len(aif) != len(seconds):
            raise TimingError(
                Code.TIME_INVALID,
                f"tissue {tissue.shape}, artery {np.shape(aif)} and times {np.shape(seconds)} "
                "do not fit together",
                mend="give one value per time",
            )
        if len(seconds) < 8 or not np.all(np.diff(seconds) > 0):
            raise TimingError(
                Code.TIME_INVALID,
                f"{len(seconds)} times; the vascular model needs at least 8, increasing",
                mend="give the whole first pass, in order",
            )
        if not np.isfinite(aif).all() or not np.trapezoid(aif, seconds) > 0:
            raise QuantityError(
                Code.AIF_NOT_FOUND,
                "the arterial curve is not finite or has no positive area",
                mend="choose another artery or check the baseline",
            )
        for name in ("mtt_range_s", "shape_range", "delay_range_s"):
            low, high = getattr(self, name)
            if not low < high or (name != "delay_range_s" and not low > 0):
                raise MetadataError(
                    Code.ARGUMENT_INVALID,
                    f"{name} is ({low:g}, {high:g}); a range must be positive and not empty",
                    mend="give (lowest, highest)",
                )

    def _fit(
        self, tissue: np.ndarray, tables: VascularTables, values: np.ndarray, status: np.ndarray
    ) -> None:
        """Fit one chunk in place."""
        from bolus.quantify.vascular_kernels import NO_AMPLITUDE, NOT_CONVERGED, refine

        finite = np.isfinite(tissue).all(axis=1)
        curves = np.where(finite[:, None], tissue, 0.0)
        if self.free_offset:
            curves -= curves.mean(axis=1, keepdims=True)
        varies = np.ptp(curves, axis=1) > 0
        projected = np.ascontiguousarray(curves @ tables.basis.T)
        outside = np.maximum(
            np.einsum("vt,vt->v", curves, curves) - np.einsum("vr,vr->v", projected, projected), 0
        )
        best = _best_start(projected, tables)
        position = tables.start_positions[best]
        outcome = np.zeros(len(curves), np.uint8)
        step = tables.log_shape.step
        prior = np.array(
            [
                tables.log_shape.position(np.log(self.shape_centre)),
                (step / np.log(self.shape_spread)) ** 2,
                self.model_error**2 / curves.shape[1],
            ]
        )
        freedom = curves.shape[1] - 4.0 - self.free_offset
        found = values[:, :12]
        refine(
            projected, outside, position, tables.coefficients, prior, freedom, self.steps,
            np.argsort(best, kind="stable"), found, outcome,
        )  # fmt: skip
        values[:, 12:15] = position
        top = np.array(tables.coefficients.shape[:3]) - 3.0
        edge = ((position <= 0) | (position >= top))[:, [0, 2]].any(axis=1)
        status[outcome == NOT_CONVERGED] = FitStatus.NOT_CONVERGED
        status[edge] = FitStatus.AT_BOUND
        with np.errstate(invalid="ignore"):
            weak = ~(found[:, 0] > self.detection * np.sqrt(found[:, 2]))
        status[weak | (outcome == NO_AMPLITUDE)] = FitStatus.NO_BOLUS
        status[~varies] = FitStatus.NO_SIGNAL
        status[~finite] = FitStatus.NOT_FINITE

    def _named(self, values: np.ndarray, status: np.ndarray, tables: VascularTables) -> VascularFit:
        """Turn amplitudes and positions into physical numbers with standard errors."""
        values[status != FitStatus.OK] = np.nan
        volume, noise, var_volume, cov = values[:, 0], values[:, 1], values[:, 2], values[:, 3]
        var_position, var_delay = values[:, 6], values[:, 11]
        mtt = np.exp(tables.log_mtt.value(values[:, 12]))
        step = tables.log_mtt.step
        # log flow = log volume - log MTT: their covariance matters, volume is known far better
        relative = var_volume / volume**2 + step**2 * var_position - 2.0 * step * cov / volume
        return VascularFit(
            flow_per_s=volume / mtt,
            mtt_s=mtt,
            shape=np.exp(tables.log_shape.value(values[:, 13])),
            delay_s=tables.delay.value(values[:, 14]),
            volume=volume.copy(),
            flow_std_per_s=volume / mtt * np.sqrt(relative),
            mtt_std_s=mtt * step * np.sqrt(var_position),
            volume_std=np.sqrt(var_volume),
            delay_std_s=tables.delay.step * np.sqrt(var_delay),
            residual_std=np.sqrt(noise),
            status=status,
        )


def _best_start(projected: np.ndarray, tables: VascularTables) -> np.ndarray:
    """Return the template of largest projection, voxel by voxel, in blocks that stay in cache."""
    block = 512
    single = projected[:, : tables.starts.shape[1]].astype(np.float32)
    match = np.empty((block, len(tables.starts)), np.float32)
    best = np.empty(len(single), np.int64)
    for first in range(0, len(single), block):
        part = single[first : first + block]
        np.matmul(part, tables.starts.T, out=match[: len(part)])
        match[: len(part)].argmax(axis=1, out=best[first : first + len(part)])
    return best


def _axis(ends: np.ndarray, *, spacing: float) -> Axis:
    """Return evenly spaced nodes between two ends, at least six."""
    nodes = max(int(np.ceil((ends[1] - ends[0]) / spacing)) + 1, 6)
    return Axis(nodes=np.linspace(ends[0], ends[1], nodes))
