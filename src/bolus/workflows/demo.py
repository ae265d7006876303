"""The whole main job, DSC and DCE, on a patient whose answer is known."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from bolus import __version__, io, simulate
from bolus.core import LabelMap, MapSet, Mask, SessionKey
from bolus.io.dataset import (
    no_scanner_values,
    raw_dataset_files,
    raw_manifest,
    write_raw_image,
)
from bolus.workflows.cohort import run_cohort
from bolus.workflows.config import Config
from bolus.workflows.progress import Progress, silent, stage
from bolus.workflows.simulated_files import dce_images

_KEY = SessionKey("demo", "01")
_DCE = replace(simulate.DCE_PROTOCOLS["spgr_3t"], shape=(64, 64, 12), voxel_mm=(3.45, 3.45, 10.0))
"""The usual field of view in fewer voxels: the demo is to take minutes on two cores."""
_NOTHING = 0.005
"""Below this, in the unit of any quantity here, a share says nothing."""
_OUTSIDE = "brain outside the tumour"


_DATASET = raw_manifest(
    _KEY,
    (
        ("perf", "*dsc"), ("perf", "dce"), ("anat", "T1w"), ("anat", "flip-*_VFA"),
        ("fmap", "TB1map"),
    ),
    under=_KEY.folder,
) | io.Manifest(
    must={
        "participants.tsv", *raw_dataset_files(name="", description="", source=""),
        "derivatives/segmentation/dataset_description.json",
        "derivatives/segmentation/*_dseg.nii.gz",
    },
    may={"derivatives/segmentation/*"},
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class TruthRow:
    """Mean of a quantity in one region: what the simulator put in, and what was found."""

    quantity: str
    region: str
    unit: str
    truth: float
    found: float

    @property
    def error_percent(self) -> float | None:
        """How far off, in percent of the truth; None where there is almost nothing to be off of."""
        return 100 * (self.found / self.truth - 1) if self.truth > _NOTHING else None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DemoOutcome:
    """The simulated dataset, the folder and report of each step, and how near the truth it is."""

    dataset: Path
    maps: Path
    reports: dict[str, Path]
    checks: tuple[TruthRow, ...]


def run_demo(output: Path, *, seed: int, progress: Progress = silent) -> DemoOutcome:
    """Simulate a patient, write it as a BIDS dataset, and quantify that as a user would.

    Args:
        output: gets `dataset` (raw data) and `derivatives/bolus` (maps and reports).
        seed: which patient.
        progress: told about every stage.

    Raises:
        ResourceError: the disk is full, or may not be written.
    """
    settings = simulate.PatientSettings(seed=seed)
    with stage(progress, "Simulating DSC"):
        patient = simulate.simulate_patient(settings)
    with stage(progress, "Simulating DCE"):
        dynamic = simulate.simulate_dce(settings, _DCE)
    dataset, derived = output / "dataset", output / "derivatives" / "bolus"
    with stage(progress, "Writing the dataset"):
        _write(dataset, patient, dynamic, seed=seed)
    done = run_cohort(dataset, derived, Config(), progress=progress)
    for step in done.failed:
        if step.error is not None:
            raise step.error
    maps = derived / _KEY.folder
    checks = (
        *compare_with_truth(maps / "dsc", ("ncbv",), patient.truth, patient.tumour, patient.brain),
        *compare_with_truth(
            maps / "dce", ("ktrans", "vp", "ve"), dynamic.truth, dynamic.tumour, dynamic.brain
        ),
    )
    reports = {step.step: step.report for step in done.sessions if step.report is not None}
    return DemoOutcome(dataset=dataset, maps=maps, reports=reports, checks=checks)


def _write(
    dataset: Path, patient: simulate.SimulatedPatient, dynamic: simulate.SimulatedDce, *, seed: int
) -> None:
    session = io.RawSession(
        key=_KEY,
        signal=patient.signal,
        second_echo=patient.second_echo,
        anatomy=patient.anatomy,
        anatomy_grid=patient.signal.grid,
        tumour=patient.tumour,
    )
    with io.open_output(
        dataset, inputs={}, config_digest=f"seed {seed}", version=__version__
    ) as folder:
        folder.expect(_DATASET)
        io.write_dataset(
            folder,
            (session,),
            name="A simulated glioma",
            description="DSC and DCE perfusion MRI, flip-angle images and a B1 map made by the "
            "bolus simulator: no patient was scanned.",
            source="https://www.mcgill.ca/bic/neuroinformatics/brain-atlases-human",
        )
        for image in dce_images(dynamic, scanner=no_scanner_values()):
            write_raw_image(folder, _KEY, image, under=_KEY.folder)


def compare_with_truth(
    folder: Path, keys: tuple[str, ...], truth: MapSet, tumour: LabelMap, brain: Mask
) -> tuple[TruthRow, ...]:
    """Compare the mean of written maps with the simulator's, region by region.

    Only voxels that were found count, and for ve only those that leak: elsewhere it has no answer.

    Args:
        folder: of one step of the session.
        keys: quantities of the registry.
        truth: of the same grid.
        tumour: its parts.
        brain: all of it.
    """
    rows: list[TruthRow] = []
    for key in keys:
        (path,) = folder.glob(f"perf/*_{key}.nii.gz")
        found, grid = io.read_image(path)
        true = truth[key]
        true.grid.require_match(grid, what=f"the {key} map")
        known = np.isfinite(found) & np.isfinite(true.values)
        if key == "ve":
            known &= truth["ktrans"].values > 0
        for region in _regions(tumour, brain):
            where = region.values & known
            if where.any():
                rows.append(
                    TruthRow(
                        quantity=key,
                        region=region.name,
                        unit=true.quantity.unit,
                        truth=float(true.values[where].mean()),
                        found=float(found[where].mean()),
                    )
                )
    return tuple(rows)


def _regions(tumour: LabelMap, brain: Mask) -> Iterator[Mask]:
    yield replace(tumour.foreground, name="whole tumour")
    for name in tumour.names.values():
        yield tumour.mask(name)
    yield replace(brain.without(tumour.foreground), name=_OUTSIDE)
