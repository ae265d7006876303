"""A small DSC exam on disk: a block of brain with an artery, grey and white matter and a tumour."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy import ndimage

from bolus import io
from bolus.core import Grid, stream

SHAPE = (40, 44, 6)
FRAMES = 60
STEP_S = 1.5
ECHO_S = 0.03


@dataclass(frozen=True)
class Exam:
    series: Path
    tumour: Path
    brain: Path
    reference: Path
    true_ncbv: float


def _gamma(seconds, start, scale):
    late = np.maximum(seconds - start, 0)
    return (late / scale) ** 3 * np.exp(-late / scale)


def _curves(seconds):
    """Artery, and tissue curves of unit area ratio made by exact convolution on a fine grid."""
    fine = np.arange(0, seconds[-1] + 0.05, 0.05)
    artery = _gamma(fine, 18.0, 1.3) / 1.344 + 0.08 * np.clip((fine - 30) / 10, 0, 1)
    artery *= 90.0

    def tissue(volume, mtt):
        residue = np.exp(-fine / mtt) / mtt
        curve = volume * np.convolve(artery, residue)[: len(fine)] * 0.05
        return np.interp(seconds, fine, curve)

    return np.interp(seconds, fine, artery), tissue


def write_exam(folder: Path, *, seed: int = 3, name: str = "exam") -> Exam:
    """Write series, sidecar, brain mask, reference mask and tumour of one exam."""
    seconds = np.arange(FRAMES) * STEP_S
    artery, tissue = _curves(seconds)
    x, y, z = np.indices(SHAPE)
    centre = (np.array(SHAPE) - 1) / 2
    tilt = x + 0.6 * (z - centre[2])  # each slice differs, so that motion can be seen
    taper = 1 - ((z - centre[2]) / 7) ** 2
    inside = ((tilt - centre[0]) / 16) ** 2 + ((y - centre[1]) / 19) ** 2 <= taper
    deep = ((tilt - centre[0]) / 11) ** 2 + ((y - centre[1]) / 13) ** 2 <= taper
    tumour = ((x - 13) ** 2 + (y - 22) ** 2 <= 16) & (z >= 1) & (z <= 4)
    vessel = (abs(x - 27) <= 1) & (abs(y - 28) <= 1) & (z >= 1) & (z <= 4)
    rates = np.zeros((*SHAPE, FRAMES))
    for share, mtt, where in (
        (0.044, 4.2, inside & ~deep),
        (0.02, 5.0, deep),
        (0.08, 5.0, tumour),
    ):
        rates[where] = tissue(share, mtt)
    rates[vessel] = artery
    baseline = np.where(inside, np.where(deep, 900.0, 1000.0), 0.0)
    folds = ndimage.gaussian_filter(stream(seed, "folds").normal(size=SHAPE), (1.5, 1.5, 0.7))
    texture = 1 + 0.12 * folds / folds.std()
    signal = (baseline * texture)[..., None] * np.exp(-ECHO_S * rates)
    noise = stream(seed, "exam").normal(0, 8.0, (2, *signal.shape))
    signal = np.hypot(signal + noise[0], noise[1])

    affine = np.diag([-3.0, 3.0, 5.0, 1.0])
    affine[:3, 3] = (60, -66, -10)
    grid = Grid(shape=SHAPE, affine=affine)
    paths = {n: folder / f"{name}{n}.nii.gz" for n in ("", "-tumour", "-brain", "-reference")}
    io.write_volume(paths[""], signal.astype(np.float32), grid, frame_step_s=STEP_S)
    sidecar = {
        "EchoTime": ECHO_S,
        "RepetitionTime": STEP_S,
        "FlipAngle": 60,
        "MagneticFieldStrength": 3,
    }
    (folder / f"{name}.json").write_text(json.dumps(sidecar))
    io.write_volume(paths["-tumour"], tumour.astype(np.uint8), grid)
    io.write_volume(paths["-brain"], inside.astype(np.uint8), grid)
    io.write_volume(paths["-reference"], (deep & ~tumour & ~vessel).astype(np.uint8), grid)
    return Exam(
        series=paths[""],
        tumour=paths["-tumour"],
        brain=paths["-brain"],
        reference=paths["-reference"],
        true_ncbv=4.0,
    )
