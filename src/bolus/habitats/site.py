"""Whether a habitat grew where the lesion enhances next, against places that mean nothing."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool
from scipy import ndimage

from bolus.core import Mask, SessionKey
from bolus.habitats.track import ProgressionSite

REACH_MM = 5.0
"""New enhancement this near to growth of a habitat counts as foretold; set by us."""
_FEWEST = 4
"""Voxels that growth and new enhancement need."""
_LAYER_MM = 3.0
_PATCH_MM = 8.0
_SAMPLE = 3000
_WAVES = 300
_SCALES_MM = (2.0, 3.5, 6.0, 10.0, 18.0)
_TRIALS = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteVisits:
    """The three visits of a site analysis: growth from the first to the second, then the third."""

    grew_from: SessionKey
    grew_to: SessionKey
    enhanced_at: SessionKey


def progression_sites(
    growth: dict[str, Mask],
    *,
    lesion: Mask,
    new_enhancement: Mask,
    visits: SiteVisits,
    seed: int,
    reach_mm: float = REACH_MM,
    permutations: int = 1000,
) -> tuple[ProgressionSite, ...]:
    """Compare where habitats grew with where the lesion enhances at the next visit.

    New enhancement is laid around the lesion in other places, again and again: as much of it in
    every 3 mm of distance from the lesion, on sides that a smooth random field prefers. The scale
    of the field is the one whose patches crowd like those of the real one, so that size, distance
    and patchiness stay, and the place alone is lost; growth stays where it is.

    Args:
        growth: by habitat, voxels that became it between the first two visits.
        lesion: at the second visit.
        new_enhancement: voxels that enhance at the third visit and did not at the second.
        visits: their keys.
        seed: decides the turns.
        reach_mm: new enhancement this near to growth counts.
        permutations: turns.

    Returns:
        One result for every habitat that grew at all; none where nothing new enhances.

    Raises:
        GeometryError: masks on different grids, or an empty lesion.

    Assumes:
        Without a relation new enhancement would come on any side of the lesion with the same
        probability. Skull, ventricles and a cavity make some sides less likely for growth and
        enhancement alike, so p is too small where they wall in much of a lesion.

    Source:
        Surrogates that keep autocorrelation: Burt et al., NeuroImage 2020;220:117038; random
        fields as sums of waves: Rahimi and Recht, NIPS 2007. The question: Park et al., Clin
        Cancer Res 2021;27:237.
    """
    lesion.require_some()
    for mask in (*growth.values(), new_enhancement):
        lesion.grid.require_match(mask.grid, what=f"the {mask.name} mask")
    grown = {name: mask for name, mask in growth.items() if mask.count >= _FEWEST}
    if not grown or new_enhancement.count < _FEWEST:
        return ()
    random = np.random.default_rng(seed)
    shell = _Shell.around(lesion, new_enhancement, random)
    moved = shell.elsewhere(permutations, shell.scale_mm(random), random)
    found = []
    for name, mask in grown.items():
        near = shell.near(mask, reach_mm)
        here = float(near[shell.new].mean())
        chance = moved[near].sum(axis=0) / shell.new.sum()
        found.append(
            ProgressionSite(
                grew_from=visits.grew_from,
                grew_to=visits.grew_to,
                enhanced_at=visits.enhanced_at,
                habitat=name,
                grown_ml=mask.volume_ml,
                new_enhancement_ml=new_enhancement.volume_ml,
                reach_mm=reach_mm,
                overlap=here,
                expected=float(chance.mean()),
                p_value=float((1 + (chance >= here - 1e-12).sum()) / (1 + permutations)),
                permutations=permutations,
            )
        )
    return tuple(found)


def grown_beyond(now: Mask, before: Mask, *, error_mm: float) -> Mask:
    """Return the voxels of `now` that lie further than `error_mm` from any of `before`.

    Args:
        now: where something is.
        before: where it was.
        error_mm: of the registration; a rim of this width is no growth.

    Assumes:
        Both masks lie on one grid.

    Source:
        Own.

    Example:
        >>> from bolus.core import Grid
        >>> grid = Grid(shape=(5, 1, 1), affine=np.eye(4))
        >>> row = np.arange(5)[:, None, None]
        >>> before = Mask(values=row < 1, grid=grid, name="before")
        >>> now = Mask(values=row < 4, grid=grid, name="now")
        >>> grown_beyond(now, before, error_mm=1.0).values.ravel().astype(int).tolist()
        [0, 0, 1, 1, 0]
    """
    if not before.count:
        return now
    away = ndimage.distance_transform_edt(~before.values, sampling=now.grid.voxel_sizes_mm)
    return Mask(values=now.values & (away > error_mm), grid=now.grid, name=now.name)


@dataclass(frozen=True, slots=True, eq=False)
class _Shell:
    """A sample of the places outside a lesion, as far out as the new enhancement goes.

    `places` (n, 3) in mm, `layer` (n,) counts by distance from the lesion, `patch` (n,) cuts the
    surface into equal parts, `new` (n,) marks the new enhancement.
    """

    away_of: np.ndarray
    voxels: np.ndarray
    places: np.ndarray
    layer: np.ndarray
    patch: np.ndarray
    new: np.ndarray

    @classmethod
    def around(cls, lesion: Mask, new: Mask, random: np.random.Generator) -> "_Shell":
        sizes = np.array(lesion.grid.voxel_sizes_mm)
        inside, wanted = np.pad(lesion.values, 1), np.pad(new.values, 1)
        away = ndimage.distance_transform_edt(~inside, sampling=sizes)
        outside = ~inside & (away <= max(float(away[wanted].max()), float(sizes.max())))
        voxels = np.argwhere(outside)
        if len(voxels) > _SAMPLE:
            few = np.argwhere(outside & wanted)
            rest = np.argwhere(outside & ~wanted)
            share = _SAMPLE / len(voxels)
            voxels = np.concatenate(
                [
                    part[
                        random.choice(
                            len(part),
                            max(min(len(part), _FEWEST), round(share * len(part))),
                            replace=False,
                        )
                    ]
                    for part in (few, rest)
                ]
            )
        at = tuple(voxels.T)
        return cls(
            away_of=sizes,
            voxels=voxels,
            places=voxels * sizes,
            layer=(away[at] / max(_LAYER_MM, float(sizes.min()))).astype(int),
            patch=np.unique(np.floor(voxels * sizes / _PATCH_MM), axis=0, return_inverse=True)[
                1
            ].ravel(),
            new=wanted[at],
        )

    def near(self, mask: Mask, reach_mm: float) -> np.ndarray:
        """Return which places are within reach of a mask."""
        away = ndimage.distance_transform_edt(~np.pad(mask.values, 1), sampling=self.away_of)
        return np.asarray(away[tuple(self.voxels.T)] <= reach_mm)

    def elsewhere(
        self, count: int, scale_mm: float, random: np.random.Generator
    ) -> Bool[np.ndarray, "places count"]:
        """Return new enhancement in other places: as much in every layer, in patches of a scale."""
        waves = random.standard_normal((3, _WAVES)) / scale_mm
        bank = np.cos(self.places @ waves + random.uniform(0, 2 * np.pi, _WAVES))
        field = bank @ random.standard_normal((_WAVES, count))
        chosen = np.zeros(field.shape, bool)
        for layer in np.unique(self.layer[self.new]):
            here = np.flatnonzero(self.layer == layer)
            wanted = int(self.new[here].sum())
            top = np.argpartition(-field[here], wanted - 1, axis=0)[:wanted]
            chosen[here[top], np.arange(count)] = True
        return chosen

    def _crowding(self, chosen: np.ndarray) -> np.ndarray:
        """Return how much of the new enhancement shares patches: 1 if all lies in one."""
        shares = np.stack([np.bincount(self.patch, weights=column) for column in chosen.T])
        return np.asarray(((shares / shares.sum(axis=1, keepdims=True)) ** 2).sum(axis=1))

    def scale_mm(self, random: np.random.Generator) -> float:
        """Return the scale of patches that is as crowded as the new enhancement is."""
        own = float(self._crowding(self.new[:, None])[0])
        drawn = [
            float(np.log(self._crowding(self.elsewhere(_TRIALS, scale, random))).mean())
            for scale in _SCALES_MM
        ]
        return _SCALES_MM[int(np.argmin(np.abs(np.array(drawn) - np.log(own))))]
