"""Every session of a dataset, one after the other; a failed one is a row, not the end."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bolus import io
from bolus.core import SessionKey
from bolus.errors import BolusError, Code, ConfigError
from bolus.workflows.config import Config
from bolus.workflows.exam import run_exam
from bolus.workflows.inputs import DscPaths
from bolus.workflows.outputs import SPACE
from bolus.workflows.progress import Progress, silent

FAILED_NAME = "failed.tsv"


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionOutcome:
    """What became of one session: the report, or the line that says why there is none."""

    key: SessionKey
    report: Path | None = None
    skipped: bool = False
    error: BolusError | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CohortOutcome:
    """What became of every session, in order."""

    sessions: tuple[SessionOutcome, ...]

    @property
    def failed(self) -> tuple[SessionOutcome, ...]:
        """The sessions without a report."""
        return tuple(s for s in self.sessions if s.error is not None)


def run_cohort(
    bids_dir: Path,
    out_dir: Path,
    config: Config,
    *,
    participants: Sequence[str] = (),
    sessions: Sequence[str] = (),
    progress: Progress = silent,
) -> CohortOutcome:
    """Quantify every session of a BIDS-like dataset into a derivatives dataset.

    Args:
        bids_dir: the dataset.
        out_dir: becomes a BIDS derivatives dataset; what is complete there is skipped.
        config: settings.
        participants: subject labels to keep, all if empty.
        sessions: session labels to keep, all if empty.
        progress: told about every session and its stages.

    Raises:
        FileError: the dataset holds no series, or not those asked for.
        ConfigError: the output lies inside the raw data, other than in `derivatives`.
    """
    _require_apart(bids_dir, out_dir)
    found = io.find_sessions(bids_dir, subjects=participants)
    wanted = {label.removeprefix("ses-") for label in sessions}
    chosen = [item for item in found if not wanted or item.key.session in wanted]
    if not chosen:
        raise ConfigError(
            Code.DATASET_INVALID,
            f"no session {', '.join(sorted(wanted))} with a DSC series",
            mend="check --session-label",
            where=str(bids_dir),
        )
    for name, text in io.derivative_files(name="bolus perfusion maps").items():
        io.write_atomically(out_dir / name, text.encode())
    outcomes = []
    for number, item in enumerate(chosen):
        progress("Sessions", number, len(chosen))
        outcomes.append(_run_session(item, out_dir, config, progress))
    progress("Sessions", len(chosen), len(chosen))
    outcome = CohortOutcome(sessions=tuple(outcomes))
    _write_failed(out_dir / FAILED_NAME, outcome)
    return outcome


def _run_session(
    item: io.SessionFiles, out_dir: Path, config: Config, progress: Progress
) -> SessionOutcome:
    name = item.key.prefix
    try:
        done = run_exam(
            DscPaths(
                series=item.series,
                second_echo=item.second_echo,
                aif=item.aif,
                mask=item.brain,
                tumour=item.tumour,
            ),
            config,
            out_dir / item.key.folder,
            names=io.OutputNames(key=item.key, space=SPACE),
            label=name,
            progress=lambda stage, done, total: progress(f"{name}: {stage}", done, total),
        )
    except BolusError as error:
        return SessionOutcome(key=item.key, error=error)
    return SessionOutcome(key=item.key, report=done.report, skipped=done.skipped)


def _write_failed(path: Path, outcome: CohortOutcome) -> None:
    """List what failed; no list where nothing did, so that its presence means something."""
    if not outcome.failed:
        path.unlink(missing_ok=True)
        return
    rows = [
        (s.key.subject, s.key.session or None, str(s.error.code), s.error.what, s.error.mend)
        for s in outcome.failed
        if s.error is not None
    ]
    io.write_table(path, ("subject", "session", "code", "what", "mend"), rows)


def _require_apart(bids_dir: Path, out_dir: Path) -> None:
    raw, out = bids_dir.resolve(), out_dir.resolve()
    if out == raw or (out.is_relative_to(raw) and "derivatives" not in out.relative_to(raw).parts):
        raise ConfigError(
            Code.USAGE,
            "the output would lie among the raw data",
            mend=f"use {bids_dir / 'derivatives' / 'bolus'} or a folder elsewhere",
            where=str(out_dir),
        )
