"""One session of a dataset: its series enhanced, DSC, DCE, codes; each stands or fails alone."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from bolus import io
from bolus.core import SessionKey
from bolus.errors import BolusError, Code, FileError, MetadataError, ResourceError
from bolus.workflows.codes_series import CodesPaths
from bolus.workflows.codes_step import CodesOutcome, run_codes
from bolus.workflows.config import Config
from bolus.workflows.dce_exam import DceOutcome, run_dce_exam
from bolus.workflows.dce_inputs import DcePaths
from bolus.workflows.enhance import (
    EnhanceOutcome,
    EnhanceRequest,
    enhance_series,
    enhanced_name,
)
from bolus.workflows.exam import ExamOutcome, run_exam
from bolus.workflows.execute import ATTEMPTS
from bolus.workflows.inputs import DscPaths
from bolus.workflows.outputs import SPACE
from bolus.workflows.progress import Progress, silent


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionJob:
    """What a worker is told: names of files and settings, never images."""

    files: io.SessionFiles
    out_dir: Path
    config: Config

    @property
    def steps(self) -> tuple[str, ...]:
        """What is to be done, in this order; codes are of the tumour in a DSC series."""
        codes = self.config.codes.enabled and self.files.series is not None
        asked = self.config.enhance
        there = (
            ("enhanced-dsc", asked.dsc != "none" and self.files.series is not None),
            ("enhanced-dce", asked.dce != "none" and self.files.dce is not None),
            ("dsc", self.files.series is not None),
            ("dce", self.files.dce is not None),
            ("codes", codes and self.files.tumour is not None),
        )
        return tuple(step for step, asked in there if asked)


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionOutcome:
    """What became of one step of a session: the report, or why there is none.

    `step` is "enhanced-dsc", "enhanced-dce", "dsc", "dce" or "codes".
    """

    key: SessionKey
    step: str
    report: Path | None = None
    skipped: bool = False
    error: BolusError | None = None


def run_session(job: SessionJob, progress: Progress = silent) -> tuple[SessionOutcome, ...]:
    """Do all steps of a session; what fails is said in its outcome, and raises nothing.

    Args:
        job: what to do.
        progress: told about every stage of every step.
    """
    name = job.files.key.prefix

    def told(stage: str, done: int, total: int) -> None:
        progress(f"{name}: {stage}", done, total)

    return tuple(_step(job, step, told) for step in job.steps)


def lost_session(job: SessionJob) -> tuple[SessionOutcome, ...]:
    """Return what stands for a session whose worker died again and again."""
    error = ResourceError(
        Code.WORKER_LOST,
        f"the worker died {ATTEMPTS} times while it did this session",
        mend="run it alone with --participant-label, with more memory; what is complete is kept",
    )
    return tuple(SessionOutcome(key=job.files.key, step=step, error=error) for step in job.steps)


def _enhanced(kind: str) -> Callable[[SessionJob, Progress], EnhanceOutcome]:
    def enhanced(job: SessionJob, progress: Progress) -> EnhanceOutcome:
        request = _enhancement(job, kind)
        assert request is not None  # a step of this job
        if kind == "dsc" and job.files.second_echo is not None:
            raise MetadataError(
                Code.ARGUMENT_INVALID,
                "a series of two echoes cannot be enhanced: they would not fit each other",
                mend="leave [enhance] dsc out for it",
                where=job.files.second_echo.name,
            )
        return enhance_series(request, job.config, progress=progress)

    return enhanced


def _enhancement(job: SessionJob, kind: str) -> EnhanceRequest | None:
    """Return what is done to a series before it is quantified; None where nothing is."""
    method = getattr(job.config.enhance, kind)
    series = job.files.series if kind == "dsc" else job.files.dce
    if method == "none" or series is None:
        return None
    name = f"{job.files.key.prefix}_desc-{method.replace('_', '')}_{kind}"
    return EnhanceRequest(
        series=series,
        output=_folder(job, f"enhanced-{kind}"),
        kind=kind,
        method=method,
        mask=job.files.brain if kind == "dsc" else None,
        name=name,
    )


def _series(job: SessionJob, kind: str) -> Path:
    """Return the series that is quantified: as it came, or as it was enhanced.

    Raises:
        FileError: it was to be enhanced, and that failed.
    """
    request = _enhancement(job, kind)
    if request is None:
        series = job.files.series if kind == "dsc" else job.files.dce
        assert series is not None  # a step of this job
        return series
    made = request.output / f"{enhanced_name(request)}.nii.gz"
    if not made.is_file():
        raise FileError(
            Code.FILE_MISSING,
            "there is no enhanced series",
            mend=f"see why the step enhanced-{kind} failed, or leave [enhance] {kind} out",
            where=made.name,
        )
    return made


def _dsc(job: SessionJob, progress: Progress) -> ExamOutcome:
    files = job.files
    names = io.OutputNames(key=files.key, space=SPACE)
    return run_exam(
        DscPaths(
            series=_series(job, "dsc"),
            second_echo=files.second_echo,
            aif=files.aif,
            mask=files.brain,
            tumour=files.tumour,
        ),
        job.config,
        _folder(job, "dsc"),
        names=names,
        label=files.key.prefix,
        progress=progress,
    )


def _dce(job: SessionJob, progress: Progress) -> DceOutcome:
    files = job.files
    measured = files.t1_map is not None or bool(files.vfa)
    config = job.config
    if measured:  # one value for the cohort is for those sessions that measured none
        config = config.model_copy(update={"dce": config.dce.model_copy(update={"t10_s": None})})
    made = _folder(job, "dsc") / io.OutputNames(key=files.key, space=SPACE).table("aif")
    return run_dce_exam(
        DcePaths(
            series=_series(job, "dce"),
            t1_map=files.t1_map,
            vfa=() if files.t1_map else files.vfa,  # a map was made from such images, or better
            b1_map=files.b1_map,
            dsc_aif=made if made.is_file() else None,
            tumour=files.tumour,
        ),
        config,
        _folder(job, "dce"),
        names=io.OutputNames(key=files.key, space="dce"),
        label=files.key.prefix,
        progress=progress,
    )


def _codes(job: SessionJob, progress: Progress) -> CodesOutcome:
    files = job.files
    assert files.series is not None  # a step of this job
    return run_codes(
        CodesPaths(series=files.series, second_echo=files.second_echo, dsc=_folder(job, "dsc")),
        job.config,
        _folder(job, "codes"),
        names=io.OutputNames(key=files.key, space=SPACE),
        label=files.key.prefix,
        progress=progress,
    )


def _folder(job: SessionJob, step: str) -> Path:
    return job.out_dir / job.files.key.folder / step


def _step(job: SessionJob, step: str, progress: Progress) -> SessionOutcome:
    key = job.files.key
    try:
        done = _WORK[step](job, progress)
    except BolusError as error:
        return SessionOutcome(key=key, step=step, error=error)
    except MemoryError:
        short = ResourceError(
            Code.MEMORY, "not enough memory", mend="use fewer --workers or a larger machine"
        )
        return SessionOutcome(key=key, step=step, error=short)
    except Exception as error:  # noqa: BLE001  # a bug met by one session must not stop the others
        bug = ResourceError(
            Code.INTERNAL,
            f"a bug in bolus ({type(error).__name__})",
            mend="run the session alone with --participant-label, and report it with its settings"
            if step == "codes"
            else f"run its series alone with `bolus {_COMMANDS.get(step, step)}`, which writes a "
            "file to report it with",
        )
        return SessionOutcome(key=key, step=step, error=bug)
    return SessionOutcome(key=key, step=step, report=done.report, skipped=done.skipped)


_COMMANDS = {"enhanced-dsc": "enhance", "enhanced-dce": "enhance"}
_Work = Callable[[SessionJob, Progress], ExamOutcome | DceOutcome | CodesOutcome | EnhanceOutcome]
_WORK: Mapping[str, _Work] = MappingProxyType(
    {
        "enhanced-dsc": _enhanced("dsc"),
        "enhanced-dce": _enhanced("dce"),
        "dsc": _dsc,
        "dce": _dce,
        "codes": _codes,
    }
)
