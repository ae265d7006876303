"""A head laid onto the grid of a scan: fractions, labels, and the truth of every voxel."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from bolus.core.arrays import Affine, read_only
from bolus.core.geometry import Grid
from bolus.core.maps import MapSet, ParameterMap
from bolus.core.provenance import Provenance, Step
from bolus.core.quantities import QUANTITIES
from bolus.core.randomness import stream
from bolus.core.regions import LabelMap, Mask
from bolus.errors import Code, GeometryError
from bolus.simulate.head import Head
from bolus.simulate.tissues import (
    ARTERY,
    HABITAT_LABELS,
    HABITAT_OF,
    SCALP,
    TISSUE_LABELS,
    TISSUES,
    TUMOUR_LABELS,
    VEIN,
    TissueModel,
)
from bolus.simulate.vessels import VESSELS, lay_tubes

_PER_MINUTE = 60.0
_SMALL = 0.02
"""Shares of a voxel below this are not simulated."""
_VESSEL_FREE = 0.01
"""Truth is of tissue: voxels with a larger share of artery or vein have none."""
_GREY_VARIATION_OF_MTT = 0.06
_VARIATION_OF_LEAKAGE = 0.25
_DELAY_SPREAD_S = 0.35
_WHITE_NOISE = 0.03


@dataclass(frozen=True, slots=True, kw_only=True)
class HeadPose:
    """How the head lies in the scanner: degrees about x, y, z, then a shift [mm], and its size."""

    rotation_deg: tuple[float, float, float] = (0.0, 0.0, 0.0)
    shift_mm: tuple[float, float, float] = (0.0, 0.0, 0.0)
    scale: float = 1.0

    @property
    def affine(self) -> Affine:
        """From template to scanner millimetres."""
        pose = np.eye(4)
        pose[:3, :3] = self.scale * rotation(self.rotation_deg)
        pose[:3, 3] = self.shift_mm
        return pose


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TissueVoxels:
    """One tissue where it is: voxel numbers (n,) within `Phantom.present`, and its values there.

    `cbv`, `ve` [mL/100mL], `mtt_s`, `delay_s`, `ktrans_per_min`, `share` of the voxel (0 to 1).
    """

    voxels: np.ndarray
    share: np.ndarray
    cbv: np.ndarray
    mtt_s: np.ndarray
    delay_s: np.ndarray
    ktrans_per_min: np.ndarray
    ve: np.ndarray

    def part(self, which: slice) -> "TissueVoxels":
        """Return some of the voxels."""
        return TissueVoxels(
            voxels=self.voxels[which],
            share=self.share[which],
            cbv=self.cbv[which],
            mtt_s=self.mtt_s[which],
            delay_s=self.delay_s[which],
            ktrans_per_min=self.ktrans_per_min[which],
            ve=self.ve[which],
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Phantom:
    """Everything there is to know about the head on a grid, before any agent is given.

    `present` are the voxels that hold anything; the arrays of `tissues`, `artery`, `vein` and
    `vessel_delay_s` follow their order. `reference` is the white matter that nCBV refers to.
    """

    grid: Grid
    present: Mask
    brain: Mask
    reference: Mask
    tissues: Mapping[str, TissueVoxels]
    models: Mapping[str, TissueModel]
    artery: np.ndarray
    vein: np.ndarray
    vessel_delay_s: np.ndarray
    labels: LabelMap
    tumour: LabelMap
    habitats: LabelMap
    truth: MapSet
    anatomy: np.ndarray


def scan_grid(
    *, shape: tuple[int, int, int], voxel_mm: tuple[float, float, float], orientation: str
) -> Grid:
    """Return a grid around the cerebrum as scanners lay it.

    Args:
        shape: voxels, such as (128, 128, 20).
        voxel_mm: edges, slices with their gap.
        orientation: "LAS" (first axis to the left), "RAS", or "oblique" (tilted by 14 degrees to
            the line between the commissures).

    Raises:
        GeometryError: another orientation.

    Example:
        >>> grid = scan_grid(shape=(8, 8, 4), voxel_mm=(2.0, 2.0, 5.0), orientation="LAS")
        >>> bool(grid.affine[0, 0] < 0)
        True
    """
    if orientation not in ("LAS", "RAS", "oblique"):
        raise GeometryError(
            Code.GRID_INVALID,
            f"orientation {orientation!r} is not LAS, RAS or oblique",
            mend="choose one of the three",
        )
    affine = np.eye(4)
    signs = (1.0 if orientation == "RAS" else -1.0, 1.0, 1.0)
    affine[:3, :3] = np.diag(np.multiply(signs, voxel_mm))
    if orientation == "oblique":
        affine[:3, :3] = rotation((14.0, 0.0, 3.0)) @ affine[:3, :3]
    middle = affine[:3, :3] @ ((np.array(shape) - 1) / 2)
    affine[:3, 3] = np.array([0.0, -18.0, 20.0]) - middle
    return Grid(shape=shape, affine=affine)


def rotation(angles_deg: tuple[float, float, float]) -> np.ndarray:
    """Return the 3 x 3 rotation about x, then y, then z.

    Example:
        >>> (rotation((0.0, 0.0, 90.0)) @ [1.0, 0.0, 0.0]).round(6).tolist()
        [0.0, 1.0, 0.0]
    """
    total = np.eye(3)
    for axis, angle_deg in enumerate(angles_deg):
        cosine, sine = np.cos(np.radians(angle_deg)), np.sin(np.radians(angle_deg))
        one = np.eye(3)
        first, second = (axis + 1) % 3, (axis + 2) % 3
        one[first, first] = one[second, second] = cosine
        one[first, second], one[second, first] = -sine, sine
        total = one @ total
    return total


def sample(volume: np.ndarray, *, source: Affine, grid: Grid, pose: Affine) -> np.ndarray:
    """Return a template field on a scan grid, averaged over the thickness of its slices.

    Args:
        volume: field in template voxels.
        source: from template voxels to template millimetres.
        grid: of the scan.
        pose: from template to scanner millimetres.
    """
    if not volume.any():
        return np.zeros(grid.shape, np.float32)
    matrix = np.linalg.inv(source) @ np.linalg.inv(pose) @ grid.affine
    samples = max(1, round(grid.voxel_sizes_mm[2] / 2.0))
    total = np.zeros(grid.shape, np.float32)
    for n in range(samples):
        within = np.array([0.0, 0.0, (n + 0.5) / samples - 0.5])
        offset = matrix[:3, 3] + matrix[:3, :3] @ within
        total += ndimage.affine_transform(
            np.asarray(volume, np.float32), matrix[:3, :3], offset, grid.shape, order=1
        )
    return total / samples


def build_phantom(
    head: Head,
    *,
    grid: Grid,
    pose: HeadPose,
    seed: int,
    tissues: Mapping[str, TissueModel] = TISSUES,
    partial_volume: bool = True,
) -> Phantom:
    """Lay a head and its vessels onto a grid.

    Args:
        head: fields in template space.
        grid: of the scan.
        pose: how the head lies.
        seed: decides the finest variation, from voxel to voxel.
        tissues: what each tissue is in this patient; the names of `TISSUES` in their order.
        partial_volume: False gives every voxel its largest tissue alone.

    Source:
        Values of tissues: `tissues`. Vessels: `vessels`.
    """
    to_scanner = pose.affine
    shares = {
        name: sample(values, source=head.affine, grid=grid, pose=to_scanner)
        for name, values in head.fractions.items()
    }
    artery, artery_delay = lay_tubes(VESSELS[ARTERY], to_scanner=to_scanner, grid=grid)
    vein, vein_delay = lay_tubes(VESSELS[VEIN], to_scanner=to_scanner, grid=grid)
    vein = np.minimum(vein, 1 - artery)
    shares = {name: values * (1 - artery - vein) for name, values in shares.items()}
    stack = np.stack([shares.get(n, np.zeros(grid.shape)) for n in TISSUES] + [artery, vein])
    if not partial_volume:
        stack = (stack == stack.max(axis=0)) & (stack > 0.3)
    stack = stack.astype(np.float32)
    present = Mask(values=stack.sum(axis=0) > _SMALL, grid=grid, name="head")
    inside = sample(head.inside, source=head.affine, grid=grid, pose=to_scanner) > 0.5
    brain = Mask(values=inside & present.values, grid=grid, name="brain")
    variation = {
        name: sample(values, source=head.affine, grid=grid, pose=to_scanner)[present.values]
        for name, values in head.variation.items()
    }
    compartments = stack[:, present.values]
    held = _tissues(compartments, variation, models=tissues, seed=seed)
    labels = np.where(stack.max(axis=0) > _SMALL, stack.argmax(axis=0) + 1, 0)
    tumour = _tumour_labels(dict(zip(TISSUE_LABELS.values(), stack, strict=True)), brain)
    truth, reference = _truth(held, stack, models=tissues, present=present, brain=brain)
    return Phantom(
        grid=grid,
        present=present,
        brain=brain,
        reference=reference,
        tissues=held,
        models=tissues,
        artery=read_only(compartments[-2]),
        vein=read_only(compartments[-1]),
        vessel_delay_s=read_only(np.maximum(artery_delay, vein_delay)[present.values]),
        labels=LabelMap(values=labels.astype(np.uint8), grid=grid, names=TISSUE_LABELS),
        tumour=LabelMap(values=tumour, grid=grid, names=TUMOUR_LABELS),
        habitats=LabelMap(values=_habitats(tumour), grid=grid, names=HABITAT_LABELS),
        truth=truth,
        anatomy=sample(head.intensity, source=head.affine, grid=grid, pose=to_scanner),
    )


def _tissues(
    compartments: np.ndarray,
    variation: Mapping[str, np.ndarray],
    *,
    models: Mapping[str, TissueModel],
    seed: int,
) -> dict[str, TissueVoxels]:
    """Give every tissue its values in every voxel it shares."""
    fine = stream(seed, "phantom", "fine").standard_normal((2, compartments.shape[1]))
    tissues = {}
    for row, (name, model) in enumerate(models.items()):
        voxels = np.flatnonzero(compartments[row] > _SMALL)
        wide = variation["cbv"][voxels] * model.spread
        cbv = model.cbv * np.exp(wide + _WHITE_NOISE * fine[0, voxels])
        mtt_s = model.mtt_s * np.exp(
            _GREY_VARIATION_OF_MTT * variation["mtt"][voxels] + _WHITE_NOISE * fine[1, voxels]
        )
        leak = np.exp(_VARIATION_OF_LEAKAGE * variation["leakage"][voxels])
        delay_s = model.delay_s + _DELAY_SPREAD_S * variation["delay"][voxels]
        tissues[name] = TissueVoxels(
            voxels=voxels,
            share=compartments[row, voxels].astype(np.float64),
            cbv=cbv,
            mtt_s=mtt_s,
            delay_s=np.maximum(delay_s, 0.0),
            ktrans_per_min=model.ktrans_per_min * leak,
            ve=np.full(len(voxels), model.ve),
        )
    return tissues


def _tumour_labels(shares: Mapping[str, np.ndarray], brain: Mask) -> np.ndarray:
    """Label voxels by the largest part of the tumour where it holds more than half."""
    parts = np.stack([shares[name] for name in TUMOUR_LABELS.values()])
    largest = np.array(list(TUMOUR_LABELS))[parts.argmax(axis=0)]
    return np.where((parts.sum(axis=0) > 0.5) & brain.values, largest, 0).astype(np.uint8)


def _habitats(tumour: np.ndarray) -> np.ndarray:
    """Turn labels of the tumour's parts into labels of habitats."""
    number = {name: label for label, name in HABITAT_LABELS.items()}
    table = np.zeros(max(TUMOUR_LABELS) + 1, np.uint8)
    for label, name in TUMOUR_LABELS.items():
        table[label] = number.get(HABITAT_OF.get(name, ""), 0)
    return np.asarray(table[tumour])


def _truth(
    tissues: Mapping[str, TissueVoxels],
    stack: np.ndarray,
    *,
    models: Mapping[str, TissueModel],
    present: Mask,
    brain: Mask,
) -> tuple[MapSet, Mask]:
    """Add up what tissues hold in every voxel of the brain without large vessels."""
    total = {key: np.zeros(present.count) for key in ("cbv", "cbf", "delay", "ktrans", "ve", "adc")}
    water = np.zeros(present.count)
    for name, tissue in tissues.items():
        if name == SCALP:
            continue
        cbf = _PER_MINUTE * tissue.cbv / tissue.mtt_s
        total["cbv"][tissue.voxels] += tissue.share * tissue.cbv
        total["cbf"][tissue.voxels] += tissue.share * cbf
        total["delay"][tissue.voxels] += tissue.share * cbf * tissue.delay_s
        total["ktrans"][tissue.voxels] += tissue.share * tissue.ktrans_per_min
        total["ve"][tissue.voxels] += tissue.share * tissue.ve
        total["adc"][tissue.voxels] += tissue.share * models[name].adc_mm2_per_s
        water[tissue.voxels] += tissue.share
    with np.errstate(divide="ignore", invalid="ignore"):
        total["mtt"] = _PER_MINUTE * total["cbv"] / total["cbf"]
        total["delay"] = total["delay"] / total["cbf"]
        total["adc"] = total["adc"] / water
    share = dict(zip(TISSUE_LABELS.values(), stack, strict=True))
    free = share[ARTERY] + share[VEIN] <= _VESSEL_FREE
    where = Mask(values=brain.values & free, grid=brain.grid, name="tissue")
    white = Mask(values=where.values & (share["wm"] > 0.95), grid=brain.grid, name="white matter")
    normal = total["cbv"][white.values[present.values]].mean()
    total["ncbv"] = total["cbv"] / normal
    chosen = where.values[present.values]
    history = Provenance().then(Step("simulate.truth", {"reference_cbv": float(normal)}))
    maps = {
        key: ParameterMap.from_voxels(
            values[chosen], quantity=QUANTITIES[key], mask=where, provenance=history
        )
        for key, values in total.items()
    }
    return MapSet(maps), white
