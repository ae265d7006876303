"""One lesion scanned on different days, with the head lying otherwise each time."""

from dataclasses import dataclass

import numpy as np

from bolus.core.arrays import Affine, read_only
from bolus.core.geometry import Grid
from bolus.core.maps import MapSet, ParameterMap
from bolus.core.provenance import Provenance, Step
from bolus.core.quantities import QUANTITIES
from bolus.core.randomness import stream
from bolus.core.regions import Mask
from bolus.simulate.anatomy import VOXEL_MM, smooth_field
from bolus.simulate.course import Visit
from bolus.simulate.fast_maps import MapNoise
from bolus.simulate.habitat_lesion import lesion_parts
from bolus.simulate.phantom import rotation, sample

SCAN_VOXEL_MM = (2.0, 2.0, 5.0)
_PARTS = ("hypervascular", "hypovascular", "nonviable", "necrosis", "radiation")
_TURN_DEG = (4.0, 1.5, 2.0)
_SHIFT_MM = (1.5, 3.0, 3.0)
"""As the positions of `session`."""
_MARGIN_MM = 16.0
_FINE = 0.03
_VARIATION_REACH = 2.5


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RescannedLesion:
    """Maps of a lesion and what lies around it, as one scan shows them.

    `maps` holds ncbv and adc with their standard errors; `pose` leads from the lesion's own
    millimetres to those of the scanner.
    """

    maps: MapSet
    lesion: Mask
    pose: Affine


def rescan_lesion(
    visit: Visit, *, seed: int, edge: int, scan: int, gain: float, noise: MapNoise
) -> RescannedLesion:
    """Return what one scan of a lesion would show in a head position of its own.

    The lesion, its cavity and the oedema around are those of `habitat_lesion`; they are turned and
    shifted, averaged over slices of 5 mm, and measured with the errors of `fast_maps`, the
    misjudged white matter among them.

    Args:
        visit: what the lesion is that day.
        seed: of the patient.
        edge: of the box; see `habitat_lesion.box_edge`.
        scan: another number is another position and other noise.
        gain: multiplies blood volume and white matter alike.
        noise: of the scanner.

    Source:
        As `habitat_lesion`; positions: set by us, as in `session`.
    """
    random = stream(seed, "rescan", str(visit.number), str(scan))
    pose = np.eye(4)
    turn = random.normal(0.0, _TURN_DEG)
    pose[:3, :3] = rotation((float(turn[0]), float(turn[1]), float(turn[2])))
    pose[:3, 3] = random.normal(0.0, _SHIFT_MM)
    cbv, adc, lesion = _fields(visit, seed, edge)
    source = np.diag([VOXEL_MM, VOXEL_MM, VOXEL_MM, 1.0])
    source[:3, 3] = -VOXEL_MM * (edge - 1) / 2
    grid = _grid(edge)

    def scanned(volume: np.ndarray) -> np.ndarray:
        return sample(volume, source=source, grid=grid, pose=pose).astype(np.float64)

    held = scanned(np.ones(cbv.shape))
    seen = Mask(values=held > 0.5, grid=grid, name="seen")
    share = held[seen.values]
    white = gain * visit.tissues["wm"].cbv * np.exp(noise.reference * random.normal())
    maps = []
    for key, volume, relative, floor, scale in (
        ("ncbv", cbv, noise.cbv_relative, noise.cbv_ml_per_100ml, gain / white),
        ("adc", adc, noise.adc_relative, noise.adc_mm2_per_s, 1.0),
    ):
        true = scanned(volume)[seen.values] / share
        std = np.hypot(relative * true, floor)
        maps.append(
            ParameterMap.from_voxels(
                scale * (true + std * random.standard_normal(len(true))),
                quantity=QUANTITIES[key],
                mask=seen,
                provenance=Provenance().then(Step("simulate.rescan_lesion", {"scan": scan})),
                std=scale * std,
            )
        )
    inside = Mask(values=scanned(lesion) > 0.5, grid=grid, name="lesion")
    return RescannedLesion(
        maps=MapSet({item.quantity.key: item for item in maps}), lesion=inside, pose=read_only(pose)
    )


def _fields(visit: Visit, seed: int, edge: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return blood volume, diffusion and the share of lesion in every voxel of the box."""
    shape = (edge, edge, edge)
    parts = lesion_parts(visit.glioma, seed, shape)
    random = stream(seed, "lesion", "variation")
    wide = smooth_field(shape, reach_voxels=_VARIATION_REACH, random=random)
    fine = _FINE * random.standard_normal(shape, dtype=np.float32)
    cbv, adc, lesion = (np.zeros(shape) for _ in range(3))
    for name, share in parts.items():
        model = visit.tissues[name]
        cbv += share * model.cbv * np.exp(model.spread * wide + fine)
        adc += share * model.adc_mm2_per_s
        lesion += share if name in _PARTS else 0.0
    return cbv, adc, lesion


def _grid(edge: int) -> Grid:
    """Return a grid that holds the box however it is turned, with its middle at 0."""
    shape = np.ceil((edge * VOXEL_MM + _MARGIN_MM) / np.array(SCAN_VOXEL_MM)).astype(int)
    affine = np.diag([-SCAN_VOXEL_MM[0], SCAN_VOXEL_MM[1], SCAN_VOXEL_MM[2], 1.0])
    affine[:3, 3] = -affine[:3, :3] @ ((shape - 1) / 2)
    return Grid(shape=(int(shape[0]), int(shape[1]), int(shape[2])), affine=affine)
