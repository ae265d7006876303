"""Lesions whose habitats are known voxel by voxel, on scanners that scale blood volume apart.

The object for measuring a clustering: every voxel is of one tissue, so what is true is not in
doubt. Tissue values, their variation from patient to patient and from place to place, errors of
maps and of the reference are those of the simulator. Partial volume, which no clustering undoes,
is left out on purpose; `habitat_lesion` has it.
"""

from dataclasses import dataclass

import numpy as np
from scipy import special

from bolus.core.cohort import SessionKey
from bolus.core.geometry import Grid
from bolus.core.maps import MapSet, ParameterMap
from bolus.core.provenance import Provenance, Step
from bolus.core.quantities import QUANTITIES
from bolus.core.randomness import stream
from bolus.core.regions import LabelMap, Mask
from bolus.errors import Code, MetadataError
from bolus.quantify.normalise import normalise_to_white_matter
from bolus.simulate.anatomy import smooth_field
from bolus.simulate.effects import PATIENT, effect
from bolus.simulate.fast_maps import MapNoise
from bolus.simulate.profile import CELLULAR
from bolus.simulate.tissues import HABITAT_LABELS, TISSUES

_NAMES = tuple(HABITAT_LABELS[label] for label in (1, 2, 3))
_SHARES = (0.30, 0.45, 0.25)
"""Of hypervascular, hypovascular and nonviable voxels where all patients are alike."""
_UNEQUAL = 0.6
"""Concentration of the Dirichlet distribution of unequal shares: one tissue often rules."""
_LESION = (16, 16, 12)
_WHITE_SLICES = 4
_VOXEL_MM = (2.0, 2.0, 4.0)
_PATCH_VOXELS = 2.0
_VARIATION_VOXELS = 2.5
_FINE = 0.03


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PhantomLesion:
    """One lesion of the phantom, measured.

    `maps` holds rcbv [ratio, with the scanner's gain], ncbv and adc; `truth` the habitats in
    `lesion`; `white_matter` what ncbv refers to.
    """

    key: SessionKey
    scanner: str
    maps: MapSet
    lesion: Mask
    truth: LabelMap
    white_matter: Mask


def simulate_habitat_phantom(
    patients: int = 10,
    *,
    seed: int,
    gain: float = 1.0,
    unequal: bool = False,
    noise: MapNoise | None = None,
    prefix: str = "phantom",
) -> tuple[PhantomLesion, ...]:
    """Return lesions of 3072 voxels with known habitats.

    Every second patient is on a scanner that shows `gain` times the blood volume. Cellular tissue
    of a patient has its own blood volume (SD of ln 0.25) and ADC (0.10); blood volume varies from
    place to place as its tissue does. What patients differ by is dealt, not drawn: scores are the
    middle quantiles of a normal distribution, scaled to variance 1, so that ten patients stand for
    all and one seed is as hard as another.

    Args:
        patients: how many, at least 1.
        seed: decides tissue and noise; gain and shares change neither.
        gain: of the second scanner.
        unequal: whether shares of habitats differ between patients, often with one that rules.
        noise: errors of maps; None is `MapNoise()`.
        prefix: of the subjects' labels.

    Raises:
        MetadataError: no patient is asked for, or the gain is not positive.

    Source:
        Values: `tissues`, `effects`, `fast_maps.MapNoise`. Shares and patches: set by us.

    Example:
        >>> lesions = simulate_habitat_phantom(2, seed=1, gain=2.0)
        >>> lesions[1].scanner, lesions[1].lesion.count
        ('scanner-02', 3072)
    """
    if patients < 1 or not gain > 0:
        raise MetadataError(
            Code.ARGUMENT_INVALID,
            f"{patients} patients with a gain of {gain:g}",
            mend="ask for at least one patient and a positive gain",
        )
    dealt = _dealt(patients, seed=seed)
    return tuple(
        _lesion(
            number,
            own=dealt[number - 1],
            seed=seed,
            gain=gain if number % 2 == 0 else 1.0,
            unequal=unequal,
            noise=noise or MapNoise(),
            prefix=prefix,
        )
        for number in range(1, patients + 1)
    )


def _dealt(patients: int, *, seed: int) -> np.ndarray:
    """Return scores (patients, 3) of whole brain, blood volume and ADC, in an order drawn."""
    quantiles = special.ndtri((np.arange(patients) + 0.5) / patients)
    quantiles /= quantiles.std() if patients > 1 else 1.0
    random = stream(seed, "phantom", "patients", str(patients))
    return np.stack([random.permutation(quantiles) for _ in range(3)], axis=1)


def _lesion(
    number: int,
    *,
    own: np.ndarray,
    seed: int,
    gain: float,
    unequal: bool,
    noise: MapNoise,
    prefix: str,
) -> PhantomLesion:
    x, y, z = _LESION
    grid = Grid(shape=(x, y, z + _WHITE_SLICES), affine=np.diag([*_VOXEL_MM, 1.0]))
    inside = np.zeros(grid.shape, bool)
    inside[..., :z] = True
    habitat = np.zeros(grid.shape, np.uint8)
    habitat[inside] = _habitats(seed, str(number), unequal=unequal).ravel()
    truth = LabelMap(values=habitat, grid=grid, names=dict(enumerate(_NAMES, start=1)))
    white = Mask(values=~inside, grid=grid, name="white matter")
    return PhantomLesion(
        key=SessionKey(f"{prefix}{number:03d}"),
        scanner=f"scanner-{2 - number % 2:02d}",
        maps=_maps(truth, white, own, seed=seed, who=str(number), gain=gain, noise=noise),
        lesion=Mask(values=inside, grid=grid, name="lesion"),
        truth=truth,
        white_matter=white,
    )


def _habitats(seed: int, who: str, *, unequal: bool) -> np.ndarray:
    """Lay patches of habitats: a smooth field ranks the voxels, shares cut the ranks."""
    shares = np.array(_SHARES)
    if unequal:
        shares = stream(seed, "phantom", who, "shares").dirichlet([_UNEQUAL] * len(_NAMES))
    random = stream(seed, "phantom", who, "patches")
    field = smooth_field(_LESION, reach_voxels=_PATCH_VOXELS, random=random)
    rank = np.empty(field.size)
    rank[np.argsort(field.ravel(), kind="stable")] = np.arange(field.size) / field.size
    return np.asarray(1 + np.digitize(rank, np.cumsum(shares)[:2])).reshape(_LESION)


def _maps(
    truth: LabelMap,
    white: Mask,
    own: np.ndarray,
    *,
    seed: int,
    who: str,
    gain: float,
    noise: MapNoise,
) -> MapSet:
    """Measure blood volume and diffusion of every voxel, and refer the one to white matter."""
    cbv, adc = _tissue(truth, own, seed=seed, who=who)
    scores = stream(seed, "phantom", who, "noise").standard_normal((4, *truth.grid.shape))
    cbv = cbv * (1 + noise.cbv_relative * scores[0]) + noise.cbv_ml_per_100ml * scores[1]
    adc = adc * (1 + noise.adc_relative * scores[2]) + noise.adc_mm2_per_s * scores[3]
    misjudged = np.exp(noise.reference * stream(seed, "phantom", who, "reference").normal())
    cbv = gain * np.where(white.values, misjudged, 1.0) * cbv
    everywhere = Mask(values=np.ones(truth.grid.shape, bool), grid=truth.grid, name="tissue")
    history = Provenance().then(
        Step("simulate.simulate_habitat_phantom", {"patient": who, "gain": gain})
    )

    def held(key: str, values: np.ndarray) -> ParameterMap:
        return ParameterMap.from_voxels(
            values.ravel(), quantity=QUANTITIES[key], mask=everywhere, provenance=history
        )

    ncbv = normalise_to_white_matter(held("cbv", cbv), white)
    return MapSet({"rcbv": held("rcbv", cbv), "ncbv": ncbv, "adc": held("adc", adc)})


def _tissue(
    truth: LabelMap, own: np.ndarray, *, seed: int, who: str
) -> tuple[np.ndarray, np.ndarray]:
    """Return blood volume [mL/100mL] and ADC [mm2/s] of every voxel; 0 in `truth` is white."""
    brain = np.exp(effect(PATIENT, "CBV of the whole brain") * own[0])
    blood = np.exp(effect(PATIENT, "CBV") * own[1])
    water = np.exp(effect(PATIENT, "ADC") * own[2])
    random = stream(seed, "phantom", who, "variation")
    wide = smooth_field(truth.grid.shape, reach_voxels=_VARIATION_VOXELS, random=random)
    fine = _FINE * random.standard_normal(truth.grid.shape)
    cbv, adc = np.empty(truth.grid.shape), np.empty(truth.grid.shape)
    for label, name in enumerate(("wm", *_NAMES)):
        here, model, cells = truth.values == label, TISSUES[name], name in CELLULAR
        varied = np.exp(model.spread * wide[here] + fine[here])
        cbv[here] = model.cbv * brain * (blood if cells else 1.0) * varied
        adc[here] = model.adc_mm2_per_s * (water if cells else 1.0)
    return cbv, adc
