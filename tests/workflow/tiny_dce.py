"""A small DCE exam on disk: brain, a leaking tumour, an artery and a vein, of known kinetics."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy import ndimage

from bolus import io
from bolus.core import Grid, stream
from bolus.quantify.population_aif import parker_aif

SHAPE = (40, 44, 6)
REPETITION_S, ANGLE_DEG, ANGLES_DEG = 0.005, 15.0, (2.0, 5.0, 10.0, 15.0)
R1, HAEMATOCRIT, ARRIVAL_S = 3.7, 0.45, 21.0
REGULAR_S = np.arange(60) * 4.0
IRREGULAR_S = np.concatenate([np.arange(30) * 3.0, 90.0 + np.arange(20) * 8.0])
TRUTH = {"tumour": (0.12, 24.0, 4.0), "normal": (0.0, 20.0, 2.0)}
"""Ktrans [1/min], ve and vp [mL/100mL]."""
T1_S = {"tumour": 1.5, "normal": 1.0, "blood": 1.65}


@dataclass(frozen=True)
class Exam:
    series: Path
    vfa: tuple[Path, ...]
    t1_map: Path
    brain: Path
    tumour: Path
    artery: Path
    grid: Grid
    times_s: np.ndarray


def blood(seconds):
    """Return the arterial curve in whole blood [mM]."""
    return parker_aif(seconds, arrival_s=ARRIVAL_S)


def _tissue(seconds, ktrans, ve, vp):
    """Return the extended Tofts curve by sums on a grid of 0.05 s: no code of the package."""
    fine = np.arange(0, seconds[-1] + 0.1, 0.05)
    plasma = blood(fine) / (1 - HAEMATOCRIT)
    residue = ktrans / 60 * np.exp(-ktrans / 60 / (ve / 100) * fine)
    leaked = np.convolve(plasma, residue)[: len(fine)] * 0.05
    return np.interp(seconds, fine, leaked + vp / 100 * plasma)


def _signal(rate, angle_deg):
    """Return the spoiled steady state, written out."""
    decay, angle = np.exp(-REPETITION_S * rate), np.radians(angle_deg)
    return np.sin(angle) * (1 - decay) / (1 - decay * np.cos(angle))


def _regions():
    x, y, z = np.indices(SHAPE)
    centre = (np.array(SHAPE) - 1) / 2
    tilt = x + 0.6 * (z - centre[2])  # each slice differs, so that motion can be seen
    taper = 1 - ((z - centre[2]) / 7) ** 2
    inside = ((tilt - centre[0]) / 16) ** 2 + ((y - centre[1]) / 19) ** 2 <= taper
    middle = (z >= 1) & (z <= 4)
    return {
        "normal": inside,
        "tumour": ((x - 13) ** 2 + (y - 22) ** 2 <= 16) & middle,
        "artery": (abs(x - 27) <= 1) & (abs(y - 28) <= 1) & middle,
        "vein": (abs(x - 19) <= 1) & (abs(y - 8) <= 1) & middle,
    }


def write_exam(folder: Path, *, times_s=REGULAR_S, noise=0.002, seed=3, sidecar=None) -> Exam:
    """Write series, flip-angle images, T1 map, masks, and the arterial curve between the frames."""
    regions, sizes = _regions(), dict.fromkeys(("series", "vfa"))
    conc, t1 = np.zeros((*SHAPE, len(times_s))), np.full(SHAPE, T1_S["normal"])
    for name, kinetics in (("normal", TRUTH["normal"]), ("tumour", TRUTH["tumour"])):
        conc[regions[name]] = _tissue(times_s, *kinetics)
    for name, late_s in (("artery", 0.0), ("vein", 5.0)):
        conc[regions[name]] = blood(times_s - late_s)
        t1[regions[name]] = T1_S["blood"]
    t1[regions["tumour"]] = T1_S["tumour"]
    folds = ndimage.gaussian_filter(stream(seed, "folds").normal(size=SHAPE), (1.5, 1.5, 0.7))
    density = np.where(regions["normal"], 20000 * (1 + 0.08 * folds / folds.std()), 0.0)
    rate = 1 / t1[..., None] + R1 * conc
    rng = stream(seed, "dce")
    sizes["series"] = density[..., None] * _signal(rate, ANGLE_DEG)
    sizes["vfa"] = [density * _signal(1 / t1, angle) for angle in ANGLES_DEG]
    sigma = noise * 20000 * _signal(1.0, ANGLE_DEG) * 10

    def noisy(values):
        return (np.abs(values + rng.normal(0, sigma, values.shape))).astype(np.float32)

    affine = np.diag([-3.0, 3.0, 5.0, 1.0])
    affine[:3, 3] = (60, -66, -10)
    grid = Grid(shape=SHAPE, affine=affine)
    known = {
        "EchoTime": 0.002, "RepetitionTimeExcitation": REPETITION_S, "FlipAngle": ANGLE_DEG,
        "MagneticFieldStrength": 3, "ContrastAgentName": "gadopentetate dimeglumine",
        "VolumeTiming": times_s.tolist(), **(sidecar or {}),
    }  # fmt: skip
    series = folder / "exam_dce.nii.gz"
    io.write_volume(series, noisy(sizes["series"]), grid)
    (folder / "exam_dce.json").write_text(
        json.dumps({key: value for key, value in known.items() if value is not None})
    )
    vfa = []
    for n, (angle, values) in enumerate(zip(ANGLES_DEG, sizes["vfa"], strict=True)):
        vfa.append(folder / f"exam_flip-{n}_VFA.nii.gz")
        io.write_volume(vfa[-1], noisy(values), grid)
        stated = {"FlipAngle": angle, "RepetitionTimeExcitation": REPETITION_S}
        (folder / f"exam_flip-{n}_VFA.json").write_text(json.dumps(stated))
    paths = {name: folder / f"{name}.nii.gz" for name in ("t1", "brain", "tumour")}
    io.write_volume(paths["t1"], t1.astype(np.float32), grid)
    io.write_volume(paths["brain"], regions["normal"].astype(np.uint8), grid)
    io.write_volume(paths["tumour"], regions["tumour"].astype(np.uint8), grid)
    fine = np.arange(0, times_s[-1] + 1, 1.0)
    rows = [(float(t), float(v)) for t, v in zip(fine, blood(fine), strict=True)]
    io.write_table(folder / "artery.tsv", ("time_s", "conc"), rows)
    return Exam(
        series=series, vfa=tuple(vfa), t1_map=paths["t1"], brain=paths["brain"],
        tumour=paths["tumour"], artery=folder / "artery.tsv", grid=grid, times_s=times_s,
    )  # fmt: skip
