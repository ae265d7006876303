"""The whole main job on a patient whose answer is known."""

from dataclasses import dataclass
from pathlib import Path

from bolus import __version__, io, simulate
from bolus.core import Mask, SessionKey
from bolus.report import DscFindings
from bolus.workflows.config import Config
from bolus.workflows.exam import ExamOutcome, run_exam
from bolus.workflows.inputs import DscPaths
from bolus.workflows.outputs import SPACE
from bolus.workflows.progress import Progress, silent, stage

_KEY = SessionKey("demo", "01")


@dataclass(frozen=True, slots=True, kw_only=True)
class TruthRow:
    """Mean nCBV of one region: what the simulator put in, and what the main job found."""

    region: str
    truth: float
    found: float

    @property
    def error_percent(self) -> float:
        """How far off, in percent of the truth."""
        return 100 * (self.found / self.truth - 1)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DemoOutcome:
    """The simulated dataset, what the exam gave, and how near the truth it came."""

    dataset: Path
    exam: ExamOutcome
    checks: tuple[TruthRow, ...]


def run_demo(output: Path, *, seed: int, progress: Progress = silent) -> DemoOutcome:
    """Simulate a patient, write it as a BIDS dataset, and quantify that as a user would.

    Args:
        output: gets `dataset` (raw data) and `derivatives` (maps and report).
        seed: which patient.
        progress: told about every stage.

    Raises:
        ResourceError: the disk is full, or may not be written.
    """
    with stage(progress, "Simulating a patient"):
        patient = simulate.simulate_patient(simulate.PatientSettings(seed=seed))
    dataset = output / "dataset"
    with stage(progress, "Writing the dataset"):
        _write(dataset, patient, seed)
    files = io.find_sessions(dataset)[0]
    exam = run_exam(
        DscPaths(series=files.series, second_echo=files.second_echo, tumour=files.tumour),
        Config(),
        output / "derivatives" / _KEY.folder,
        names=io.OutputNames(key=_KEY, space=SPACE),
        label=f"simulated patient, seed {seed}",
        progress=progress,
    )
    checks = () if exam.findings is None else compare_with_truth(exam.findings, patient)
    return DemoOutcome(dataset=dataset, exam=exam, checks=checks)


def _write(dataset: Path, patient: simulate.SimulatedPatient, seed: int) -> None:
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
        io.write_dataset(
            folder,
            (session,),
            name="A simulated glioma",
            description="DSC perfusion MRI made by the bolus simulator: no patient was scanned.",
            source="https://www.mcgill.ca/bic/neuroinformatics/brain-atlases-human",
        )


def compare_with_truth(
    findings: DscFindings, patient: simulate.SimulatedPatient
) -> tuple[TruthRow, ...]:
    """Compare mean nCBV with the simulator's, region by region, over the voxels that were found."""
    found, truth = findings.maps["ncbv"], patient.truth["ncbv"]
    parts = [patient.tumour.mask(name) for name in patient.tumour.names.values()]
    whole = Mask(values=patient.tumour.values > 0, grid=patient.tumour.grid, name="whole tumour")
    return tuple(
        TruthRow(
            region=region.name,
            truth=float(truth.inside(region).mean()),
            found=float(found.inside(region).mean()),
        )
        for region in (whole, *parts, findings.white_matter)
        if found.inside(region).size
    )
