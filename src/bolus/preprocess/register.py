"""Bring a visit of a patient to the first one: rigid, affine, and where asked deformable."""

from dataclasses import dataclass
from itertools import product

import numpy as np
from scipy.spatial.transform import Rotation

from bolus.core import Grid, Mask, Provenance, Step
from bolus.core.arrays import Affine
from bolus.errors import Code, GeometryError, MetadataError
from bolus.preprocess.alignment import Alignment, VisitImage
from bolus.preprocess.register_affine import (
    COARSE_MM,
    FINE_MM,
    Fit,
    Reference,
    Sampled,
    about,
    half_way,
    head_of,
)
from bolus.preprocess.register_deform import OneWay, coarse_grid, deform
from bolus.preprocess.register_quality import (
    find_local_shifts,
    parameter_error_mm2,
    require_one_head,
)
from bolus.preprocess.resample import resample_mask

_TURN_DEG = 18.0
_STARTS_EVERY = 4
_STARTS_ITERATIONS = 5
_BEST_STARTS = 3
_SPACING_MM = 6.0
"""Of the maps of error and consistency."""
_FEWEST_IN_PLANE = 16
_RIGID, _AFFINE = 6, 12
_FREEDOM = {"rigid": _RIGID, "affine": _AFFINE, "deformable": _AFFINE}


def register_visits(
    moving: VisitImage,
    fixed: VisitImage,
    *,
    moving_lesion: Mask | None = None,
    fixed_lesion: Mask | None = None,
    fixed_brain: Mask | None = None,
    model: str = "affine",
) -> Alignment:
    """Find where each place of the first visit lies at another visit.

    Least squares by Gauss and Newton on points spread over the head, from several starts, smoothed
    by 8 mm and then by 3 mm; rigid first, then affine. The other image may have another gain, coil
    and contrast: it is a parabola of the first one, and its scale any parabola of place. Nothing
    in a lesion (with 5 mm around it, at either visit) takes part, and what else has changed loses
    its say. Both directions are fitted, and the answer lies half way between them, so that no
    visit is favoured. "deformable" adds a smooth displacement.

    Args:
        moving: the other visit's image.
        fixed: the first visit's image, of the same kind.
        moving_lesion: tumour, cavity and oedema on the grid of `moving`.
        fixed_lesion: the same on the grid of `fixed`.
        fixed_brain: look at the brain only; without it the whole head is looked at.
        model: "rigid", "affine" or "deformable".

    Returns:
        The alignment, with maps of consistency and likely error.

    Raises:
        GeometryError: the images do not show one head (`REGISTRATION_FAILED`), or a mask is on
            another grid than its image.
        MetadataError: the model is not known.

    Assumes:
        One patient, one kind of image. With "rigid" and "affine" the head outside the lesions
        does not change its shape; then the likely error holds for places in the lesion as well.

    Source:
        Least squares: Friston et al., Hum Brain Mapp 1995;3:165-189. Robust weights: Beaton and
        Tukey, Technometrics 1974;16:147-185. Masked cost: Brett et al., NeuroImage
        2001;14:486-500. Both directions: Reuter et al., NeuroImage 2010;53:1181-1196.
    """
    _check(moving, fixed, model)
    masks = ((moving_lesion, moving), (fixed_lesion, fixed), (fixed_brain, fixed))
    for mask, image in masks:
        if mask is not None:
            image.grid.require_match(mask.grid, what=f"the {mask.name} mask")
    there = _Side(Reference(fixed, fixed_lesion, fixed_brain), Sampled(moving, moving_lesion))
    start = _found(there, _starts(moving, fixed))
    brain = None if fixed_brain is None else _carried(fixed_brain, start, moving.grid)
    back = _Side(Reference(moving, moving_lesion, brain), Sampled(fixed, fixed_lesion))
    pair = _both_ways(there, back, start, freedom=_FREEDOM[model])
    judged = there.fitted(pair.matrix, _AFFINE, FINE_MM) if model == "rigid" else pair.out
    require_one_head(there.reference, there.image, judged, similarity=pair.similarity)
    if model == "deformable":
        return _with_warp(pair, fixed, moving)
    return _without_warp(pair, model, coarse_grid(fixed.grid, _SPACING_MM), fixed)


@dataclass(frozen=True, slots=True)
class _Side:
    """One direction: the reference, and the image that is fitted to it."""

    reference: Reference
    image: Sampled

    def fitted(self, start: Affine, freedom: int, width_mm: float) -> Fit:
        found = self.reference.fit(self.image, start=start, freedom=freedom, width_mm=width_mm)
        if found is None:
            raise _nothing_in_common()
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class _Pair:
    """Both directions fitted, and the matrix half way between them."""

    there: _Side
    back: _Side
    out: Fit
    home: Fit
    matrix: Affine
    similarity: float

    def squared_error_mm2(self, points: np.ndarray) -> np.ndarray:
        """Return what the parameters of both directions are uncertain by, at places (n, 3)."""
        out = parameter_error_mm2(self.there.reference, self.out, points)
        home = parameter_error_mm2(self.back.reference, self.home, _moved(points, self.matrix))
        return np.asarray(0.5 * (out + home))


def _both_ways(there: _Side, back: _Side, start: Affine, *, freedom: int) -> _Pair:
    """Fit rigidly from coarse to fine, then with more freedom, in both directions."""
    steps = [(_RIGID, COARSE_MM), (_RIGID, FINE_MM), (freedom, FINE_MM)]
    matrix = start
    for step in steps:
        out = there.fitted(matrix, *step)
        matrix = out.matrix
    home = back.fitted(np.linalg.inv(matrix), *steps[-1])
    matrix = half_way(out.matrix, np.linalg.inv(home.matrix))
    alike = (
        there.reference.detail(there.image, matrix),
        back.reference.detail(back.image, np.linalg.inv(matrix)),
    )
    return _Pair(
        there=there, back=back, out=out, home=home, matrix=matrix, similarity=sum(alike) / 2
    )


def _without_warp(pair: _Pair, model: str, grid: Grid, fixed: VisitImage) -> Alignment:
    head = head_of(fixed, grid)
    points = grid.centres_mm(np.argwhere(head).astype(np.float64))
    home = np.linalg.inv(pair.home.matrix)
    gap_mm = np.linalg.norm(_moved(points, pair.out.matrix) - _moved(points, home), axis=1)
    local = find_local_shifts(pair.there.reference, pair.out).at(points, beyond_noise=True)
    return Alignment(
        kind=model,
        matrix=pair.matrix,
        grid=grid,
        displacement=None,
        consistency_mm=_on(head, gap_mm),
        likely_error_mm=_on(head, np.sqrt(pair.squared_error_mm2(points) + gap_mm**2 + local)),
        similarity=pair.similarity,
        provenance=_history(model, pair.similarity),
    )


def _with_warp(pair: _Pair, fixed: VisitImage, moving: VisitImage) -> Alignment:
    out = OneWay(pair.there.reference, pair.there.image, pair.out)
    home = OneWay(pair.back.reference, pair.back.image, pair.home)
    warp = deform(fixed, moving, out=out, home=home, matrix=pair.matrix)
    points = warp.grid.centres_mm(np.argwhere(warp.head).astype(np.float64))
    gap_mm = warp.gap_mm[warp.head]
    uncertain = warp.std_mm[warp.head] ** 2
    return Alignment(
        kind="deformable",
        matrix=pair.matrix,
        grid=warp.grid,
        displacement=warp.displacement,
        consistency_mm=_on(warp.head, gap_mm),
        likely_error_mm=_on(
            warp.head, np.sqrt(pair.squared_error_mm2(points) + gap_mm**2 + uncertain)
        ),
        similarity=pair.similarity,
        provenance=_history("deformable", pair.similarity),
    )


def _starts(moving: VisitImage, fixed: VisitImage) -> list[Affine]:
    """Return places to begin at: as the scanners say, and head upon head, each turned a little."""
    first, second = _middle(fixed), _middle(moving)
    shift = np.eye(4)
    shift[:3, 3] = second - first
    turns = [np.eye(4)]
    for axis, sign in product(range(3), (-1.0, 1.0)):
        turn = np.eye(4)
        turn[:3, :3] = Rotation.from_rotvec(
            sign * np.radians(_TURN_DEG) * np.eye(3)[axis]
        ).as_matrix()
        turns.append(about(first, turn))
    return [begin @ turn for begin, turn in product((np.eye(4), shift), turns)]


def _found(side: _Side, starts: list[Affine]) -> Affine:
    """Return the best of the starts, each followed a few steps."""
    followed = []
    for start in starts:
        fit = side.reference.fit(
            side.image,
            start=start,
            freedom=_RIGID,
            width_mm=COARSE_MM,
            iterations=_STARTS_ITERATIONS,
            every=_STARTS_EVERY,
        )
        if fit is not None:
            followed.append((side.reference.shape(side.image, fit.matrix), fit.matrix))
    if not followed:
        raise _nothing_in_common()
    followed.sort(key=lambda item: -item[0])
    best = []
    for _, matrix in followed[:_BEST_STARTS]:
        fit = side.reference.fit(side.image, start=matrix, freedom=_RIGID, width_mm=COARSE_MM)
        if fit is not None:
            best.append((side.reference.shape(side.image, fit.matrix), fit.matrix))
    return max(best or followed, key=lambda item: item[0])[1]


def _middle(image: VisitImage) -> np.ndarray:
    """Return the middle (3,) [mm] of the head."""
    grid = coarse_grid(image.grid, _SPACING_MM)
    places = np.argwhere(head_of(image, grid)).astype(np.float64)
    return grid.centres_mm(places).mean(axis=0) if len(places) else grid.centres_mm(np.zeros(3))


def _carried(brain: Mask, matrix: Affine, grid: Grid) -> Mask:
    """Return the first visit's brain where it lies at the other."""
    affine = matrix @ brain.grid.affine
    own = Mask(values=brain.values, grid=Grid(shape=brain.grid.shape, affine=affine), name="brain")
    return resample_mask(own, grid)


def _moved(points: np.ndarray, matrix: Affine) -> np.ndarray:
    return np.asarray(points @ matrix[:3, :3].T + matrix[:3, 3])


def _on(head: np.ndarray, values: np.ndarray) -> np.ndarray:
    volume = np.full(head.shape, np.nan)
    volume[head] = values
    return volume


def _history(model: str, similarity: float) -> Provenance:
    step = Step(
        "preprocess.register_visits",
        {"model": model, "similarity": round(similarity, 3)},
        source="10.1002/hbm.460030303",
    )
    return Provenance().then(step)


def _check(moving: VisitImage, fixed: VisitImage, model: str) -> None:
    if model not in _FREEDOM:
        raise MetadataError(
            Code.ARGUMENT_INVALID,
            f"{model!r} is not a kind of registration",
            mend=f"choose one of {', '.join(_FREEDOM)}",
        )
    for image, which in ((fixed, "first"), (moving, "other")):
        if sorted(image.grid.shape)[1] < _FEWEST_IN_PLANE or not np.ptp(image.values) > 0:
            shape = " x ".join(map(str, image.grid.shape))
            raise GeometryError(
                Code.REGISTRATION_FAILED,
                f"the {which} visit's image of {shape} voxels shows nothing to register",
                mend="give images of the whole head",
            )


def _nothing_in_common() -> GeometryError:
    return GeometryError(
        Code.REGISTRATION_FAILED,
        "the images of the two visits have less than a third of the head in common, or no contrast",
        mend="give images that cover the same part of the head",
    )
