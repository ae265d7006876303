"""The enhancing lesion of one visit in a small box: what every voxel of it holds, and fast.

A head takes seconds to build, and a cohort needs hundreds of lesions. Here a lesion grows beside
its cavity in a box of 2 mm voxels without a brain around it: a ball with the irregular border,
the depth of necrosis and the patches of `growth`, the tissues and their variation of `phantom`,
the errors of `fast_maps`. Volumes are exact, and visits of one patient lie in one place.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from bolus.core.arrays import read_only
from bolus.core.geometry import Grid
from bolus.core.randomness import stream
from bolus.simulate.anatomy import VOXEL_MM, smooth_field
from bolus.simulate.fast_maps import MapNoise
from bolus.simulate.growth import Glioma
from bolus.simulate.growth_kernels import distance_mm, fill
from bolus.simulate.tissues import HABITAT_LABELS, HABITAT_OF, TissueModel

SLICE_VOXELS = 2
"""Slices of the scan are this many voxels of the box thick: 2 x 2 x 4 mm."""
_PARTS = ("hypervascular", "hypovascular", "nonviable", "necrosis", "radiation")
_VOXEL_ML = VOXEL_MM**3 / 1000.0
_REACH = 1.9
"""Half the edge of the box, as a multiple of the radius of a ball of the largest lesion."""
_MARGIN_MM = 8.0
_FINE = 0.03
_VARIATION_REACH = 2.5


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LesionTruth:
    """What a lesion is on the grid of a scan, before anything is measured.

    `inside` (x, y, z) is where more than half of a voxel is lesion. `cbv` [mL/100mL], `adc`
    [mm2/s] and `habitat` (numbers of `HABITAT_LABELS`) belong to its voxels in C order.
    """

    grid: Grid
    inside: np.ndarray
    cbv: np.ndarray
    adc: np.ndarray
    habitat: np.ndarray


def box_edge(largest_ml: float) -> int:
    """Return how many 2 mm voxels an edge of a box needs for a lesion of this volume.

    Example:
        >>> box_edge(0.1), box_edge(90.0)
        (14, 62)
    """
    radius_mm = np.cbrt(3000.0 * largest_ml / (4.0 * np.pi))
    half = int(np.ceil((_REACH * radius_mm + _MARGIN_MM) / VOXEL_MM))
    return SLICE_VOXELS * int(np.ceil(2 * half / SLICE_VOXELS))


def lay_lesion(
    glioma: Glioma, tissues: Mapping[str, TissueModel], *, seed: int, edge: int
) -> LesionTruth:
    """Lay the lesion of one visit onto the grid of a scan.

    Args:
        glioma: of the visit; its cavity lies beside the lesion, oedema around both.
        tissues: of the visit.
        seed: of the patient, the same at every visit.
        edge: of the box, the same at every visit; see `box_edge`.

    Source:
        Shape, patches, tissues: as `growth` and `phantom`; a cavity as a ball and no brain around:
        set by us.

    Example:
        >>> from bolus.simulate.tissues import TISSUES
        >>> lesion = lay_lesion(Glioma(volume_ml=4.0), TISSUES, seed=1, edge=box_edge(4.0))
        >>> bool(abs(lesion.inside.sum() * lesion.grid.voxel_volume_ml - 4.0) < 0.4)
        True
    """
    shape = (edge, edge, edge)
    parts = lesion_parts(glioma, seed, shape)
    random = stream(seed, "lesion", "variation")
    wide = smooth_field(shape, reach_voxels=_VARIATION_REACH, random=random)
    fine = _FINE * random.standard_normal(shape, dtype=np.float32)
    cbv, adc = np.zeros(shape), np.zeros(shape)
    for name, share in parts.items():
        model = tissues[name]
        cbv += share * model.cbv * np.exp(model.spread * wide + fine)
        adc += share * model.adc_mm2_per_s
    scan = {name: _thick(share) for name, share in parts.items()}
    inside = np.sum([scan[name] for name in _PARTS], axis=0) > 0.5
    grid = Grid(
        shape=inside.shape, affine=np.diag([VOXEL_MM, VOXEL_MM, SLICE_VOXELS * VOXEL_MM, 1.0])
    )
    return LesionTruth(
        grid=grid,
        inside=read_only(inside),
        cbv=read_only(_thick(cbv)[inside]),
        adc=read_only(_thick(adc)[inside]),
        habitat=read_only(_habitat(scan, inside)),
    )


def measure_lesion(
    truth: LesionTruth, *, white_cbv: float, noise: MapNoise, seed: int, names: tuple[str, ...]
) -> tuple[np.ndarray, np.ndarray]:
    """Return nCBV and ADC as a scan would show them, and their standard errors.

    The errors are those of `simulate_maps`: in every voxel, and one of the visit by which normal
    white matter is misjudged (it is not part of the standard errors).

    Args:
        truth: of the visit.
        white_cbv: of the patient's normal white matter [mL/100mL].
        noise: of the scanner.
        seed: of the patient.
        names: of the scan; others give other noise.

    Returns:
        Values and errors, both (voxels, 2): nCBV [ratio], ADC [mm2/s].

    Source:
        `fast_maps.MapNoise`.
    """
    white = white_cbv * np.exp(noise.reference * stream(seed, *names, "reference").normal())
    spreads = np.stack(
        [
            np.hypot(truth.cbv * noise.cbv_relative, noise.cbv_ml_per_100ml) / white,
            np.hypot(truth.adc * noise.adc_relative, noise.adc_mm2_per_s),
        ],
        axis=1,
    )
    means = np.stack([truth.cbv / white, truth.adc], axis=1)
    scores = stream(seed, *names, "noise").standard_normal(means.shape)
    return read_only(means + spreads * scores), read_only(spreads)


def noise_at(snr: float) -> MapNoise:
    """Return the errors of maps at the signal-to-noise ratio of a scanner.

    Power laws through the two that `MapNoise` was measured at, SNR 80 and SNR 40.

    Args:
        snr: of the baseline in white matter.

    Source:
        `fast_maps.MapNoise`; ADC is left as it is.

    Example:
        >>> round(noise_at(40.0).cbv_ml_per_100ml, 3), round(noise_at(80.0).cbv_relative, 3)
        (0.23, 0.02)
    """
    worse = 80.0 / snr
    return MapNoise(
        cbv_relative=0.02 * worse ** float(np.log2(0.05 / 0.02)),
        cbv_ml_per_100ml=0.12 * worse ** float(np.log2(0.23 / 0.12)),
    )


def lesion_parts(glioma: Glioma, seed: int, shape: tuple[int, int, int]) -> dict[str, np.ndarray]:
    """Return the share of every voxel of the box that each tissue and the cavity hold."""
    middle = (np.array(shape) - 1) / 2
    far_mm = distance_mm(shape, middle)
    cavity = _cavity(glioma, seed, shape, middle)
    field = {
        name: smooth_field(
            shape, reach_voxels=reach_mm / VOXEL_MM, random=stream(seed, "lesion", name)
        )
        for name, reach_mm in (
            ("border", 8.0), ("ragged", 3.5), ("supply", 5.0),
            ("radiation", glioma.patch_mm), ("hypervascular", glioma.patch_mm),
        )
    }  # fmt: skip
    rough = 0.9 * field["border"] + 0.45 * field["ragged"]
    rank = np.asarray(far_mm * np.exp(glioma.irregularity * rough), np.float32)
    mass = fill(rank, (1 - cavity).astype(np.float32), glioma.volume_ml / _VOXEL_ML)
    body = np.pad(mass + cavity >= 0.5, 1)
    depth = VOXEL_MM * ndimage.distance_transform_edt(body)[(slice(1, -1),) * 3]
    starved = -np.asarray(depth * np.exp(-0.55 * field["supply"]), np.float32)
    parts, rest = {"cavity": cavity, "oedema": 1 - cavity - mass}, mass
    for name, order, share in (
        ("necrosis", starved, glioma.necrosis),
        ("nonviable", starved, glioma.nonviable),
        ("radiation", -field["radiation"], glioma.radiation),
        ("hypervascular", -field["hypervascular"], glioma.hypervascular),
    ):
        parts[name] = fill(order, rest, share * glioma.volume_ml / _VOXEL_ML)
        rest = rest - parts[name]
    return parts | {"hypovascular": rest}


def _cavity(
    glioma: Glioma, seed: int, shape: tuple[int, int, int], middle: np.ndarray
) -> np.ndarray:
    """Return a ball that touches the place where the lesion began."""
    if glioma.cavity_ml == 0:
        return np.zeros(shape, np.float32)
    radius_mm = float(np.cbrt(3000.0 * glioma.cavity_ml / (4.0 * np.pi)))
    way = stream(seed, "lesion", "cavity").standard_normal(3)
    centre = middle - (radius_mm + VOXEL_MM) / VOXEL_MM * way / np.linalg.norm(way)
    inwards = (radius_mm - distance_mm(shape, centre)) / VOXEL_MM + 0.5
    return np.asarray(np.clip(inwards, 0, 1), np.float32)


def _thick(fine: np.ndarray) -> np.ndarray:
    """Average over the thickness of slices."""
    x, y, z = fine.shape
    return np.asarray(fine.reshape(x, y, z // SLICE_VOXELS, SLICE_VOXELS).mean(axis=3))


def _habitat(scan: Mapping[str, np.ndarray], inside: np.ndarray) -> np.ndarray:
    """Label the voxels of the lesion by the habitat that holds most of them."""
    ours = {HABITAT_OF[part] for part in _PARTS}
    labels = [label for label, name in HABITAT_LABELS.items() if name in ours]
    held = [
        np.sum([scan[part][inside] for part in _PARTS if HABITAT_OF[part] == name], axis=0)
        for name in (HABITAT_LABELS[label] for label in labels)
    ]
    return np.asarray(np.array(labels, np.uint8)[np.argmax(held, axis=0)])
