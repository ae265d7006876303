"""How good a registration is: how far it is likely to be wrong, and whether it failed."""

from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree

from bolus.core.arrays import Affine
from bolus.errors import Code, GeometryError
from bolus.preprocess.register_affine import (
    COARSE_MM,
    FINE_MM,
    INTENSITY,
    Fit,
    Reference,
    Sampled,
    about,
    motion_columns,
)

_LEAST_DETAIL = 0.35
"""Fine detail of two images of one head is more alike than this, however noisy they are."""
_MOST_LOCAL_MM = 1.0
"""Parts of one head fit better than this (median) once the whole is registered."""
_MOST_STRETCH = 1.15
"""One head does not change its size by more than this from visit to visit."""
_NEIGHBOURS = 8
_REACH_MM = 25.0
"""Local errors are averaged over about this distance."""
_LOCAL = (0, 2, INTENSITY, INTENSITY + 1, INTENSITY + 2)
"""Columns of a fit in one place: brightness, contrast, and three shifts."""
_MEND = "look at both images: check that they are of one patient, one kind, and the right way round"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LocalShifts:
    """What each part of the head would still have to move for itself.

    `centres_mm` (chunks, 3), `shift_mm` (chunks,) the length of the shift, `noise_mm` (chunks,)
    the length that noise alone gives.
    """

    centres_mm: np.ndarray
    shift_mm: np.ndarray
    noise_mm: np.ndarray

    def at(self, points: np.ndarray, *, beyond_noise: bool) -> np.ndarray:
        """Return squared shifts (n,) [mm2] near places (n, 3), or the noise of such shifts."""
        squares = self.noise_mm**2
        if beyond_noise:
            squares = self.shift_mm**2 - squares
        near = min(_NEIGHBOURS, len(squares))
        away, which = cKDTree(self.centres_mm).query(points, k=near)
        weight = np.exp(-0.5 * (away.reshape(len(points), near) / _REACH_MM) ** 2) + 1e-9
        mean = (weight * squares[which.reshape(len(points), near)]).sum(axis=1) / weight.sum(axis=1)
        return np.asarray(np.maximum(mean, 0.0))


def find_local_shifts(reference: Reference, fit: Fit) -> LocalShifts:
    """Solve for a shift of every part of the head by itself, beside its brightness and contrast."""
    normal = fit.normal[:, _LOCAL][:, :, _LOCAL]
    inverse = np.linalg.pinv(normal, rcond=1e-9, hermitian=True)
    shifts = np.einsum("cij,cj->ci", inverse, fit.slope[:, _LOCAL])[:, 2:]
    spread = np.einsum("cii->ci", inverse)[:, 2:].sum(axis=1)
    centres = reference.places_mm.reshape(len(shifts), -1, 3).mean(axis=1)
    return LocalShifts(
        centres_mm=centres,
        shift_mm=np.linalg.norm(shifts, axis=1),
        noise_mm=np.sqrt(np.maximum(spread, 0.0) * fit.variance),
    )


def parameter_error_mm2(reference: Reference, fit: Fit, points: np.ndarray) -> np.ndarray:
    """Return the squared error (n,) [mm2] at places (n, 3) that uncertain parameters make.

    The parts of the head count as independent witnesses, however the points in them hang together.

    Source:
        Sandwich estimate for clusters: Liang and Zeger, Biometrika 1986;73:13-22.
    """
    count = len(fit.slope)
    inverse = np.linalg.pinv(fit.normal.sum(axis=0), rcond=1e-12, hermitian=True)
    spread = fit.slope - fit.slope.mean(axis=0)
    widened = count / max(count - inverse.shape[0], 1)
    covariance = widened * inverse @ (spread.T @ spread) @ inverse
    moved = motion_columns(points - reference.centre_mm, fit.freedom)
    own = covariance[INTENSITY:, INTENSITY:]
    return np.asarray(np.maximum(np.einsum("nip,pq,niq->n", moved, own, moved), 0.0))


def require_one_head(reference: Reference, image: Sampled, fit: Fit, *, similarity: float) -> None:
    """Raise where two images do not look like one head.

    Args:
        reference: the first visit.
        image: the other one.
        fit: affine, of the one to the other: another scale is no other head.
        similarity: correlation of fine detail.

    Raises:
        GeometryError: the images are not of one head, or one of them is mirrored.
    """
    local = find_local_shifts(reference, fit)
    apart_mm = float(np.median(local.shift_mm))
    stretch = np.linalg.svd(fit.matrix[:3, :3], compute_uv=False)
    if apart_mm > _MOST_LOCAL_MM or similarity < _LEAST_DETAIL:
        raise GeometryError(
            Code.REGISTRATION_FAILED,
            f"the two do not look like one head: the best position leaves its parts "
            f"{apart_mm:.1f} mm apart (median, at most {_MOST_LOCAL_MM:g} mm), and detail "
            f"correlates by {similarity:.2f}",
            mend=_MEND,
        )
    if max(stretch.max(), 1 / stretch.min()) > _MOST_STRETCH:
        raise GeometryError(
            Code.REGISTRATION_FAILED,
            f"the head would have to stretch by a factor of {stretch.min():.2f} to "
            f"{stretch.max():.2f} between the visits",
            mend=_MEND,
        )
    mirrored = _mirrored_detail(reference, image, fit.matrix)
    if mirrored > similarity:
        raise GeometryError(
            Code.REGISTRATION_FAILED,
            f"the other visit looks more like the mirror image of the first (detail correlates "
            f"by {mirrored:.2f}) than like itself ({similarity:.2f}): left and right are swapped",
            mend="find out which of the two visits has the wrong affine, and convert it again",
        )


def _mirrored_detail(reference: Reference, image: Sampled, matrix: Affine) -> float:
    """Return how alike fine detail is if left and right are swapped."""
    swapped = matrix @ about(reference.centre_mm, np.diag([-1.0, 1.0, 1.0, 1.0]))
    for width_mm in (COARSE_MM, FINE_MM):
        found = reference.fit(image, start=swapped, freedom=6, width_mm=width_mm, every=2)
        if found is None:
            return -1.0
        swapped = found.matrix
    return reference.detail(image, swapped)
