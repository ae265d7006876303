"""The plain ways to group signal curves, which codes of a network have to beat."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from bolus.core import Weights, stream
from bolus.nets.autoencoder import CurveAutoencoder, fit_autoencoder, latents_of
from bolus.nets.curve_augment import held_places
from bolus.nets.curve_codes import CurveCodes, encode_curves, gather_curves
from bolus.nets.curve_medians import by_drop, curve_medians, nearest_curve
from bolus.nets.physical_axis import ExamCurves, align_curves

CurveCoder = Callable[[ExamCurves], CurveCodes]
"""Gives each curve of an exam a code, 1 for the largest drop, 0 where the curve is not usable."""
Embedding = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""From curves without gaps and masks, both (n, 60), to points (n, d)."""
_RESTARTS = 4
_COMPONENTS = 6


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CurveGroups:
    """Groups of curves: the nearest of `centres` (k, d) among points that `embed` gives.

    `curves` (k, 60) is what each group stands for, the largest drop first; `absolute` measures
    distances between points by mean absolute differences, otherwise by squares.

    Assumes: groups are compact in the space that `embed` gives, with one scale for all of them.
    Source: Lloyd, IEEE Trans Inf Theory 28 (1982) 129, the k-means whose centres these are.
    """

    embed: Embedding
    centres: Float[np.ndarray, "k d"]
    curves: Float[np.ndarray, "k points"]
    absolute: bool = False

    def __call__(self, exam: ExamCurves) -> CurveCodes:
        """Return the group of every curve of an exam, in the form of codes."""
        aligned = align_curves(exam)
        values = aligned.values[:, held_places(aligned.measured)]
        measured = np.broadcast_to(aligned.measured, values.shape).astype(np.float32)
        points = self.embed(values, measured)
        group = self.nearest(points)
        curve = self.curves[group]
        off = (np.abs(curve - values) * measured).sum(axis=1) / measured.sum(axis=1)
        lost = ~aligned.usable
        codes = np.where(lost, 0, group + 1).astype(np.uint8)
        for array in (points, curve, off):
            array[lost] = np.nan
        return CurveCodes(codes=codes, latent=points, reconstruction=curve, distance=off)

    def nearest(self, points: Float[np.ndarray, "n d"]) -> np.ndarray:
        """Return the number of the nearest centre, from 0."""
        if self.absolute:
            return nearest_curve(points, self.centres)
        shorter = (self.centres**2).sum(axis=1) - 2 * points @ self.centres.T
        return np.asarray(shorter.argmin(axis=1))


def network_codes(weights: Weights) -> CurveCoder:
    """Return the codes of a network in the contract of the plain ways.

    Args:
        weights: of `fit_curve_codes`.

    Assumes:
        As `encode_curves`.

    Source:
        As `encode_curves`.
    """

    def code(exam: ExamCurves) -> CurveCodes:
        return encode_curves(
            exam.signal,
            interval_s=exam.interval_s,
            arrival_s=exam.arrival_s,
            start_s=exam.start_s,
            weights=weights,
        )

    return code


def mean_groups(exams: Sequence[ExamCurves], groups: int, *, seed: int) -> CurveGroups:
    """Group curves by k-means on all their points.

    Args:
        exams: to fit on.
        groups: how many.
        seed: of the restarts.

    Assumes:
        What was not measured is as the nearest time that was.

    Source:
        Lloyd, IEEE Trans Inf Theory 1982;28:129.
    """
    return _grouped(exams, lambda values, _: np.array(values), groups, seed)


def median_groups(exams: Sequence[ExamCurves], groups: int, *, seed: int) -> CurveGroups:
    """Group curves by k-medians: the start of the network's codes, without the network.

    Args:
        exams: to fit on.
        groups: how many.
        seed: of core set and restarts.

    Assumes:
        As `mean_groups`.

    Source:
        As `curve_medians`.
    """
    values = gather_curves(exams)[0].numpy()
    centres = curve_medians(values, groups, seed=seed)
    return CurveGroups(
        embed=lambda curves, _: np.array(curves), centres=centres, curves=centres, absolute=True
    )


def component_groups(exams: Sequence[ExamCurves], groups: int, *, seed: int) -> CurveGroups:
    """Group curves by k-means on their first six principal components.

    Args:
        exams: to fit on.
        groups: how many.
        seed: of the restarts.

    Assumes:
        As `mean_groups`.

    Source:
        Akbari et al., Radiology 2014;273:502 (principal components of DSC curves).
    """
    values = gather_curves(exams)[0].numpy()
    centre = values.mean(axis=0)
    axes = np.linalg.eigh(np.cov(values, rowvar=False))[1][:, : -_COMPONENTS - 1 : -1]
    axes = axes.astype(np.float32)
    return _grouped(exams, lambda curves, _: (curves - centre) @ axes, groups, seed)


def latent_groups(
    exams: Sequence[ExamCurves],
    groups: int,
    *,
    seed: int,
    network: CurveAutoencoder | None = None,
) -> CurveGroups:
    """Group curves by k-means on the latents of an autoencoder.

    Args:
        exams: to fit on; every tenth exam chooses the autoencoder's best epoch.
        groups: how many.
        seed: of the training and the restarts.
        network: one that is trained already.

    Assumes:
        As `mean_groups`.

    Source:
        Park et al., AJNR Am J Neuroradiol 2023;44:543.
    """
    from dataclasses import replace

    from bolus.nets.autoencoder import RECIPE

    held = set(range(0, len(exams), 10)) if len(exams) > 1 else set()
    trained = network or fit_autoencoder(
        gather_curves([exam for n, exam in enumerate(exams) if n not in held]),
        gather_curves([exams[n] for n in held]),
        recipe=replace(RECIPE, seed=seed),
    )
    return _grouped(exams, lambda values, seen: latents_of(trained, values, seen), groups, seed)


def _grouped(exams: Sequence[ExamCurves], embed: Embedding, groups: int, seed: int) -> CurveGroups:
    """Return k-means in a space, each group with the mean curve of its members."""
    from sklearn.cluster import KMeans

    values, measured = (tensor.numpy() for tensor in gather_curves(exams))
    points = embed(values, measured)
    state = int(stream(seed, "habitats", "curve groups").integers(2**31))
    found = KMeans(groups, n_init=_RESTARTS, random_state=state).fit(points)
    curves = np.stack([values[found.labels_ == n].mean(axis=0) for n in range(groups)])
    order = by_drop(curves)
    centres = found.cluster_centers_[order].astype(np.float32)
    return CurveGroups(embed=embed, centres=centres, curves=curves[order])
