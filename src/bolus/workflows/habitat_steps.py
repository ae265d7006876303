"""What the steps of habitats share: the model, what became of each visit, and who was left out."""

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from bolus.core import QUANTITIES
from bolus.errors import BolusError, Code, ConfigError, FileError, ResourceError
from bolus.habitats import HabitatModel, VoxelTable
from bolus.habitats.clustering import adapt_habitats
from bolus.io.access import stem_of
from bolus.io.habitat_model import default_model, read_habitat_model
from bolus.io.visits import VisitDay
from bolus.workflows.config import Config
from bolus.workflows.visits import VisitFiles

FOLDER = "habitats"
"""Of a visit, and of a patient for what was followed through the visits."""
MODEL_NAME = "model.json"
SUMMARY_NAME = "habitats.json"
LEFT_OUT = frozenset({Code.VISITS_TOO_FEW, Code.MASK_EMPTY})
"""Nothing is broken: a lesion is gone, or a patient was seen once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StepOutcome:
    """What became of one visit or patient.

    `place` is its report or table; None where `error` says why there is none. `left_out` says
    that something is not there, rather than broken.
    """

    name: str
    place: Path | None = None
    skipped: bool = False
    error: BolusError | None = None
    left_out: bool = False

    @property
    def words(self) -> str:
        """One line for people."""
        if self.error is None:
            return "complete already" if self.skipped else "done"
        return f"left out: {self.error.what}" if self.left_out else str(self.error)


@dataclass(frozen=True, slots=True, kw_only=True)
class StepsOutcome:
    """What became of every visit or patient, in order."""

    steps: tuple[StepOutcome, ...]

    @property
    def failed(self) -> tuple[StepOutcome, ...]:
        """Those that something was wrong with."""
        return tuple(s for s in self.steps if s.error is not None and not s.left_out)

    @property
    def done(self) -> tuple[StepOutcome, ...]:
        """Those with a result."""
        return tuple(s for s in self.steps if s.error is None)


@dataclass(frozen=True, slots=True, kw_only=True)
class ChosenModel:
    """A model of habitats, and the file it came from; None for the one that comes with bolus."""

    model: HabitatModel
    path: Path | None

    @property
    def files(self) -> tuple[Path, ...]:
        """What a receipt names."""
        return () if self.path is None else (self.path,)


def choose_model(path: Path | None) -> ChosenModel:
    """Read a model, or take the one that comes with bolus.

    Args:
        path: a model's file, or the folder that `bolus habitats fit` made.

    Raises:
        FileError: missing, damaged, or no model.
    """
    if path is None:
        return ChosenModel(model=default_model(), path=None)
    file = path / MODEL_NAME if path.is_dir() else path
    return ChosenModel(model=read_habitat_model(file), path=file)


def adapted(model: HabitatModel, first: VoxelTable, when: VisitDay, config: Config) -> HabitatModel:
    """Return the model for one patient, for all visits: adapted to the first, where it should be.

    Args:
        model: of the cohort.
        first: voxels of the patient's first visit that can be used.
        when: that visit was.
        config: its section `habitats`.
    """
    asked = config.habitats.adapt
    if model.within is None or not (asked == "first" or (asked == "untreated" and when.untreated)):
        return model
    return adapt_habitats(model, [first])


def require_features(features: Sequence[str]) -> tuple[str, ...]:
    """Return features that can be asked for.

    Raises:
        ConfigError: one of them is not in the registry, or is there twice.
    """
    unknown = [name for name in features if name not in QUANTITIES]
    if unknown or len(set(features)) < len(features):
        raise ConfigError(
            Code.CONFIG_INVALID,
            f"habitats.features has {', '.join(features)}: "
            + (f"'{unknown[0][:40]}' is no quantity" if unknown else "one is there twice"),
            mend=f"choose from {', '.join(sorted(QUANTITIES))}",
        )
    return tuple(features)


def attempt(name: str, place: Path, work: Callable[[], bool], *, among_others: bool) -> StepOutcome:
    """Do the work of one visit or patient; what fails is said in its outcome, and raises nothing.

    Args:
        name: of the visit or patient.
        place: where its result is afterwards.
        work: does it, and returns whether a complete result had been there.
        among_others: whether others follow, which a bug met by one must not stop.
    """
    try:
        skipped = work()
    except BolusError as error:
        return StepOutcome(name=name, error=error, left_out=error.code in LEFT_OUT)
    except MemoryError:
        short = ResourceError(
            Code.MEMORY, "not enough memory", mend="use fewer --workers or a larger machine"
        )
        return StepOutcome(name=name, error=short)
    except Exception as error:
        if not among_others:
            raise
        bug = ResourceError(
            Code.INTERNAL,
            f"a bug in bolus ({type(error).__name__})",
            mend="run it alone with --participant-label, which writes a file to report it with",
        )
        return StepOutcome(name=name, error=bug)
    return StepOutcome(name=name, place=place, skipped=skipped)


def without_what_it_needs(files: VisitFiles) -> StepOutcome:
    """Return what stands for a visit that lacks something."""
    error = FileError(
        Code.DATASET_INVALID,
        "; ".join(files.missing),
        mend="add it, or go on without",
        where=files.key.prefix,
    )
    return StepOutcome(name=files.key.prefix, error=error, left_out=True)


def require_any(outcome: StepsOutcome, *, what: str, where: Path) -> StepsOutcome:
    """Return the outcome.

    Raises:
        BolusError: there is no result at all; the first reason is told.
    """
    if outcome.done:
        return outcome
    if outcome.failed and (error := outcome.failed[0].error) is not None:
        raise error
    first = outcome.steps[0]
    reason = first.error.what if first.error is not None else ""
    raise FileError(
        Code.DATASET_INVALID,
        f"holds no {what} with all that habitats need (first: {first.name}: {reason})",
        mend="see docs/how-to/habitats.md for what is needed and where it is looked for",
        where=str(where),
    )


def settings_digest(config: Config, *more: object) -> str:
    """Return 16 hexadecimal digits that name the settings of habitats, and what else decides."""
    text = config.habitats.model_dump_json() + "".join(f"\n{item}" for item in more)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def with_beside(files: Iterable[Path]) -> tuple[Path, ...]:
    """Return files, and the sidecars and b-values of those images that have some."""
    found: dict[Path, None] = {}
    for path in files:
        found[path] = None
        stem = stem_of(path)
        for ending in (".json", ".bval", ".tsv"):
            beside = path.with_name(stem + ending)
            if beside.is_file():
                found[beside] = None
    return tuple(found)
