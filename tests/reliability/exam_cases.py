"""Small DSC exams on disk, made in code: good ones of many protocols, and the parts of bad ones."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import nibabel as nib
import numpy as np
from scipy import ndimage

from bolus.core import stream

FIELD_T = 3
FAST = "[dsc]\nmotion_correction = false\nflow_method = 'ssvd'\n"
"""Settings under which the tiny exam takes a second or two."""
TISSUE_GAIN = 3.0
"""Transverse relaxivity of tissue over that of blood: a brain mean falls by a tenth and more."""


@dataclass(frozen=True)
class Protocol:
    """How an exam is made. `bolus` are (start [s], height) pairs; `axes` orders and flips axes."""

    shape: tuple[int, int, int] = (36, 40, 6)
    frames: int = 60
    step_s: float = 1.5
    echo_s: float = 0.03
    angle_deg: float = 60
    bolus: tuple[tuple[float, float], ...] = ((18.0, 1.0),)
    noise: float = 8.0
    axes: str = "RAS"
    dtype: str = "float32"
    voxel_mm: tuple[float, float, float] = (4.5, 4.5, 6.0)
    sign: float = -1.0
    """-1 where contrast lowers the signal (DSC); +1 where it raises it."""
    seed: int = 3
    sidecar: Mapping[str, object] = field(default_factory=dict)


PLAIN = Protocol()


@dataclass(frozen=True)
class Files:
    """The files of one exam."""

    series: Path
    tumour: Path
    brain: Path
    regions: Mapping[str, np.ndarray]


def _gamma(seconds: np.ndarray, start: float, scale: float = 1.3) -> np.ndarray:
    late = np.maximum(seconds - start, 0)
    return (late / scale) ** 3 * np.exp(-late / scale) / 1.344


def _rates(protocol: Protocol, regions: Mapping[str, np.ndarray]) -> np.ndarray:
    """Return ΔR2* [1/s] of every voxel by convolution on a fine grid: no code of the package."""
    seconds = np.arange(protocol.frames) * protocol.step_s
    fine = np.arange(0, seconds[-1] + 0.1, 0.05)
    artery = np.zeros_like(fine)
    for start, height in protocol.bolus:
        artery += height * 90 * _gamma(fine, start)
        artery += height * 7 * np.clip((fine - start - 12) / 10, 0, 1)
    rates = np.zeros((*protocol.shape, protocol.frames))
    for name, volume, mtt in (("grey", 0.044, 4.2), ("white", 0.02, 5.0), ("tumour", 0.08, 5.0)):
        residue = np.exp(-fine / mtt) / mtt
        curve = volume * np.convolve(artery, residue)[: len(fine)] * 0.05
        rates[regions[name]] = TISSUE_GAIN * np.interp(seconds, fine, curve)
    rates[regions["vessel"]] = np.interp(seconds, fine, artery)
    return rates


def regions_of(shape: tuple[int, int, int]) -> dict[str, np.ndarray]:
    """Return grey and white matter, a tumour on one side, an artery, and all of them together."""
    at = [(i - (n - 1) / 2) / n for i, n in zip(np.indices(shape), shape, strict=True)]
    tilt = at[0] + 0.1 * at[2]
    taper = 1 - (1.2 * at[2]) ** 2
    brain = (tilt / 0.4) ** 2 + (at[1] / 0.43) ** 2 <= taper
    deep = (tilt / 0.33) ** 2 + (at[1] / 0.36) ** 2 <= taper
    middle = abs(at[2]) < 0.35
    tumour = ((at[0] + 0.17) ** 2 + at[1] ** 2 <= 0.012) & middle
    vessel = (abs(at[0] - 0.19) < 1.6 / shape[0]) & (abs(at[1] - 0.15) < 1.6 / shape[1]) & middle
    white = deep & ~tumour & ~vessel
    return {
        "brain": brain, "white": white, "tumour": tumour & ~vessel, "vessel": vessel,
        "grey": brain & ~deep & ~tumour & ~vessel,
    }  # fmt: skip


def signal_of(protocol: Protocol) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Return the signal (x, y, z, t), and the regions."""
    regions = regions_of(protocol.shape)
    rates = _rates(protocol, regions)
    base = np.where(regions["brain"], np.where(regions["grey"], 1000.0, 900.0), 0.0)
    folds = ndimage.gaussian_filter(
        stream(protocol.seed, "folds").normal(size=protocol.shape), (1.5, 1.5, 0.7)
    )
    base *= 1 + 0.1 * folds / folds.std()
    signal = base[..., None] * np.exp(protocol.sign * 0.03 * rates)
    noise = stream(protocol.seed, "exam").normal(0, protocol.noise, (2, *signal.shape))
    return np.hypot(signal + noise[0], noise[1]), regions


def affine_of(protocol: Protocol) -> np.ndarray:
    """Return an affine in which the array's axes run R, A, S."""
    affine = np.diag([*protocol.voxel_mm, 1.0])
    affine[:3, 3] = -np.array(protocol.voxel_mm) * (np.array(protocol.shape) - 1) / 2
    return affine


def save(
    values: np.ndarray, affine: np.ndarray, path: Path, *, axes: str = "RAS", step_s: float = 0
) -> Path:
    """Store values (x, y, z[, t]) in another order of axes, with the affine that tells so."""
    image = nib.Nifti1Image(values, affine)
    there = nib.orientations.axcodes2ornt(tuple(axes))
    here = nib.orientations.axcodes2ornt("RAS")
    image = image.as_reoriented(nib.orientations.ornt_transform(here, there))
    image.header.set_xyzt_units("mm", "sec")
    if step_s:
        image.header.set_zooms((*image.header.get_zooms()[:3], step_s))
    nib.save(image, path)
    return path


def write(folder: Path, protocol: Protocol = PLAIN, *, name: str = "exam", **changed) -> Files:
    """Write series, sidecar, tumour and brain mask."""
    protocol = replace(protocol, **changed)
    signal, regions = signal_of(protocol)
    folder.mkdir(parents=True, exist_ok=True)
    known = {
        "EchoTime": protocol.echo_s, "RepetitionTime": protocol.step_s,
        "FlipAngle": protocol.angle_deg, "MagneticFieldStrength": FIELD_T, **protocol.sidecar,
    }  # fmt: skip
    (folder / f"{name}.json").write_text(
        json.dumps({key: value for key, value in known.items() if value is not None})
    )
    affine = affine_of(protocol)
    masks = {
        part: save(regions[part].astype(np.uint8), affine, folder / f"{name}-{part}.nii.gz",
                   axes=protocol.axes)
        for part in ("tumour", "brain")
    }  # fmt: skip
    whole = np.issubdtype(np.dtype(protocol.dtype), np.integer)
    values = (np.rint(signal) if whole else signal).astype(protocol.dtype)
    series = save(
        values, affine, folder / f"{name}.nii.gz", axes=protocol.axes, step_s=protocol.step_s
    )
    return Files(series=series, tumour=masks["tumour"], brain=masks["brain"], regions=regions)


def good_protocols() -> list[Protocol]:
    """Return fifty protocols that nothing is wrong with: each drawn from what scanners do."""
    draw = np.random.default_rng(11)
    orders = ("RAS", "LAS", "LPS", "RSA", "SLP", "ARS", "LIP", "PSR")
    kinds = ("int16", "uint16", "float32", "float64", "int32")
    shapes = ((36, 40, 6), (32, 36, 8), (40, 36, 6), (44, 44, 5), (36, 36, 7))
    made = []
    for n in range(50):
        step_s = float(np.round(draw.uniform(1.0, 2.2), 2))
        start_s = float(np.round(draw.uniform(10, 35), 1))
        made.append(
            Protocol(
                shape=shapes[n % 5], step_s=step_s,
                frames=int(np.ceil((start_s + 55) / step_s)) + int(draw.integers(0, 20)),
                echo_s=float(np.round(draw.uniform(0.02, 0.05), 4)),
                angle_deg=float(draw.choice([30, 35, 60, 70, 90])),
                bolus=((start_s, float(draw.uniform(0.6, 1.3))),),
                noise=float(1000 / draw.choice([25, 40, 80, 150])),
                axes=orders[n % 8], dtype=kinds[(n // 2) % 5], seed=100 + n,
            )
        )  # fmt: skip
    return made
