"""Input that other programs take without a word: right files, wrong meaning.

A case writes its files and returns the words of a command; it says which code must come, and which
words show that the right cause was guessed.
"""

import atexit
import functools
import shutil
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import exam_cases
import nibabel as nib
import numpy as np

from bolus.errors import Code

sys.path.insert(0, str(Path(__file__).parents[1] / "workflow"))

import tiny_dce

Words = list[object]


@dataclass(frozen=True)
class Wrong:
    """One kind: what makes it, the code it must stop with, and the words of the right guess."""

    name: str
    make: Callable[[Path], Words]
    code: Code
    says: str


def sidecar(**values: object) -> Callable[[Path], Words]:
    return made(sidecar=values)


def made(**changed: object) -> Callable[[Path], Words]:
    return lambda folder: ["dsc", exam_cases.write(folder, **changed).series]


def settings(text: str) -> Callable[[Path], Words]:
    def make(folder: Path) -> Words:
        (folder / "s.toml").write_text(text)
        return ["dsc", exam_cases.write(folder).series, "--config", folder / "s.toml"]

    return make


def with_mask(option: str, change: Callable[[nib.Nifti1Image], nib.Nifti1Image]):
    def make(folder: Path) -> Words:
        files = exam_cases.write(folder)
        source = files.tumour if option == "--tumour" else files.brain
        nib.save(change(nib.load(source)), folder / "changed.nii.gz")
        return ["dsc", files.series, option, folder / "changed.nii.gz"]

    return make


def mirrored(image: nib.Nifti1Image) -> nib.Nifti1Image:
    affine = image.affine.copy()
    affine[0] *= -1
    return nib.Nifti1Image(np.asarray(image.dataobj), affine)


def mirrored_off_centre(folder: Path) -> Words:
    """A mirrored header of a head that does not lie in the middle of the scanner: none does."""
    files = exam_cases.write(folder)
    for path in (files.series, files.tumour):
        image = nib.load(path)
        affine = image.affine.copy()
        affine[0, 3] += 7.3
        nib.save(nib.Nifti1Image(np.asarray(image.dataobj), affine, image.header), path)
    nib.save(mirrored(nib.load(files.tumour)), folder / "changed.nii.gz")
    return ["dsc", files.series, "--tumour", folder / "changed.nii.gz"]


def coarser(image: nib.Nifti1Image) -> nib.Nifti1Image:
    affine = image.affine @ np.diag([2.0, 2.0, 1.0, 1.0])
    return nib.Nifti1Image(np.asarray(image.dataobj)[::2, ::2], affine)


def corner(image: nib.Nifti1Image) -> nib.Nifti1Image:
    values = np.zeros(image.shape, np.uint8)
    values[:3, :3, 1:4] = 1
    return nib.Nifti1Image(values, image.affine)


def outside(image: nib.Nifti1Image) -> nib.Nifti1Image:
    return nib.Nifti1Image((np.asarray(image.dataobj) == 0).astype(np.uint8), image.affine)


def curve_in_ms(folder: Path) -> Words:
    files = exam_cases.write(folder)
    rows = [f"{1500 * n}\t{max(0, 10 - abs(n - 20))}" for n in range(60)]
    (folder / "aif.tsv").write_text("time_s\tdelta_r2s\n" + "\n".join(rows) + "\n")
    return ["dsc", files.series, "--aif", folder / "aif.tsv"]


def curve_of_concentration(folder: Path) -> Words:
    words = curve_in_ms(folder)
    text = words[-1].read_text()
    rows = [line.split("\t") for line in text.splitlines()[1:]]
    table = [f"{float(time) / 1000}\t{value}" for time, value in rows]
    words[-1].write_text("time_s\tconc\n" + "\n".join(table) + "\n")
    return words


def in_order(order: Callable[[int], np.ndarray]) -> Callable[[Path], Words]:
    def make(folder: Path) -> Words:
        files = exam_cases.write(folder)
        image = nib.load(files.series)
        values = np.asarray(image.dataobj)[..., order(image.shape[3])]
        nib.save(nib.Nifti1Image(values, image.affine, image.header), files.series)
        return ["dsc", files.series]

    return make


def flipped(image: nib.Nifti1Image) -> nib.Nifti1Image:
    """Mirror the data and leave the header, as a program that ignores the affine does."""
    return nib.Nifti1Image(np.asarray(image.dataobj)[::-1], image.affine)


@functools.cache
def dce_exam() -> tiny_dce.Exam:
    """One DCE exam, written once; nobody may change it."""
    folder = Path(tempfile.mkdtemp(prefix="bolus-reliability-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return tiny_dce.write_exam(folder)


def dce_as_dsc(folder: Path) -> Words:
    exam = dce_exam()
    return ["dsc", exam.series, "--echo-time", "0.002", "--repetition-time", "4"]


def dsc_as_dce(folder: Path) -> Words:
    known = {"RepetitionTimeExcitation": 0.05, "ContrastAgentName": "gadobutrol"}
    return ["dce", exam_cases.write(folder, sidecar=known).series, "--t10", "1.2"]


def dce(*words: str) -> Callable[[Path], Words]:
    return lambda folder: ["dce", dce_exam().series, *words]


def t1_in_ms(folder: Path) -> Words:
    exam = dce_exam()
    image = nib.load(exam.t1_map)
    values = 1000 * np.asarray(image.dataobj)
    nib.save(nib.Nifti1Image(values, image.affine), folder / "t1.nii.gz")
    return ["dce", exam.series, "--t1-map", folder / "t1.nii.gz"]


def b1_in_percent(folder: Path) -> Words:
    exam = dce_exam()
    image = nib.load(exam.t1_map)
    percent = np.full(image.shape, 100, np.float32)
    nib.save(nib.Nifti1Image(percent, image.affine), folder / "b1.nii.gz")
    images = [word for path in exam.vfa for word in ("--vfa", path)]
    return ["dce", exam.series, *images, "--b1-map", folder / "b1.nii.gz"]


_TIMES = [1.5 * n for n in range(60)]
_BACK = [*_TIMES[:20], 3.0, *_TIMES[21:]]

STOPPED = (
    Wrong("TR in ms", sidecar(RepetitionTime=1500), Code.METADATA_IMPLAUSIBLE, "milliseconds: 1.5"),
    Wrong("TE in ms", sidecar(EchoTime=30), Code.METADATA_IMPLAUSIBLE, "milliseconds: 0.03"),
    Wrong("FA in rad", sidecar(FlipAngle=1.0472), Code.METADATA_IMPLAUSIBLE, "radians: 60"),
    Wrong("DCE given as DSC", dce_as_dsc, Code.NOT_DSC, "process it as DCE"),
    Wrong("DSC given as DCE", dsc_as_dce, Code.NO_BOLUS, "as in DSC"),
    Wrong("no bolus", made(bolus=()), Code.NO_BOLUS, "contrast was given"),
    Wrong("two boluses", made(bolus=((18.0, 1.0), (52.0, 0.8)), frames=70), Code.TWO_BOLUSES,
          "two passages"),
    Wrong("bolus in frames 0-2", made(bolus=((0.0, 1.0),)), Code.BOLUS_TOO_EARLY, "frame"),
    Wrong("T1 map in ms", t1_in_ms, Code.METADATA_IMPLAUSIBLE, "milliseconds: 1 s"),
    Wrong("mask mirrored", mirrored_off_centre, Code.GRID_MISMATCH,
          "left and right were swapped"),
    Wrong("mask on another grid", with_mask("--mask", coarser), Code.GRID_MISMATCH, "(18, 20"),
    Wrong("haematocrit 45", sidecar(Hematocrit=45), Code.METADATA_IMPLAUSIBLE, "percentage: 0.45"),
    Wrong("haematocrit 45 in the settings", settings("patient.haematocrit_large_vessels = 45"),
          Code.CONFIG_INVALID, "percentage: 0.45"),
    Wrong("times out of order", sidecar(RepetitionTime=None, VolumeTiming=_BACK),
          Code.TIME_INVALID, "not increase"),
    Wrong("TE and TR swapped", sidecar(EchoTime=0.15, RepetitionTime=0.12),
          Code.METADATA_IMPLAUSIBLE, "swapped"),
    Wrong("series cut in the bolus", made(frames=17), Code.SERIES_TOO_SHORT, "lasts until"),
    Wrong("brain mask of the air", with_mask("--mask", outside), Code.NO_BOLUS,
          "the mask is the brain"),
    Wrong("artery in ms", curve_in_ms, Code.TIME_INVALID, "milliseconds: 1.5"),
    Wrong("artery as concentration", curve_of_concentration, Code.QUANTITY_WRONG, "ΔR2*"),
    Wrong("TR of the settings in ms", settings("acquisition.repetition_time_s = 1500"),
          Code.METADATA_IMPLAUSIBLE, "milliseconds: 1.5"),
    Wrong("field in gauss", sidecar(MagneticFieldStrength=30000), Code.METADATA_IMPLAUSIBLE,
          "gauss: 3"),
    Wrong("T10 in ms", dce("--t10", "1200"), Code.METADATA_IMPLAUSIBLE, "milliseconds: 1.2"),
    Wrong("excitation time in ms", dce("--t10", "1.2", "--repetition-time", "5"),
          Code.METADATA_IMPLAUSIBLE, "milliseconds: 0.005"),
    Wrong("DCE angle in rad", dce("--t10", "1.2", "--flip-angle", "0.26"),
          Code.METADATA_IMPLAUSIBLE, "radians: 14.9"),
    Wrong("B1 in percent", b1_in_percent, Code.METADATA_IMPLAUSIBLE, "percent: 1"),
    Wrong("frames shuffled", in_order(lambda n: np.random.default_rng(0).permutation(n)),
          Code.TIME_INVALID, "in no order"),
    Wrong("frames backwards", in_order(lambda n: np.arange(n)[::-1]), Code.TIME_INVALID,
          "in reverse order"),
)  # fmt: skip
"""Stopped, with the right guess."""
