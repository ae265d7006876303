"""What networks of sequences say of one session: a probability, and whether to use it."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from bolus import __version__, io
from bolus.core import CurveCohort, CurveExam, ModelCard, Provenance, Step, Weights
from bolus.errors import BolusError, Code, ConfigError, FileError
from bolus.io.access import read_bytes, stem_of
from bolus.io.sidecar import parse_object
from bolus.report.prediction import render_prediction
from bolus.report.prediction_findings import PredictionFindings, ProtocolRow
from bolus.workflows.config import Config
from bolus.workflows.curve_exams import CurveExamFiles, find_curve_exams, read_curve_exam
from bolus.workflows.exam import now_text, once
from bolus.workflows.networks import (
    chosen_weights,
    protocol_of,
    require_protocol,
    weights_file,
)
from bolus.workflows.notices import collected
from bolus.workflows.outputs import REPORT_NAME
from bolus.workflows.progress import Progress, silent, stage

KIND = "curve-sequence"
FOLDER = "prediction"
FACTS_NAME = "prediction.json"
_LIMIT_BYTES = 1 << 20
_UNLIKE = "unlike_p99"
"""In a card: the score that 99 % of the exams of the training stay below."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PredictRequest:
    """Which session, and what is not found by itself; None for what is."""

    session: Path
    data: Path | None = None
    labels: Path | None = None
    weights: Path | None = None
    output: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PredictOutcome:
    """Where the page is, and what `prediction.json` has."""

    report: Path
    facts: Mapping[str, object]
    skipped: bool


def predict_session(
    request: PredictRequest, config: Config, *, progress: Progress = silent
) -> PredictOutcome:
    """Predict one session and write its folder as a whole.

    Args:
        request: which session.
        config: its section `acquisition`.
        progress: told about every stage.

    Raises:
        FileError: the session is not finished, or its dataset or weights are not found.
        MetadataError: the acquisition is outside the range that the networks were trained for.
        LeakageError: the networks were fitted on this subject.
        ResourceError: a library is absent.
    """
    weights = chosen_weights(request.weights, kind=KIND)
    files = _files(request)
    weights.card.require_unseen([files.key.subject])
    output = request.output or request.session / FOLDER

    def work(folder: io.OutputFolder) -> PredictionFindings:
        folder.expect(io.Manifest(must={FACTS_NAME, REPORT_NAME}))
        notices: list[str] = []
        try:
            with collected(notices):
                exam = read_curve_exam(files, config, progress=progress)
                require_protocol(weights.card, exam.time, exam.acquisition)
                with stage(progress, "Networks"):
                    found = predict_exam(exam, weights, created=now_text())
        except BolusError as error:
            raise error.at(files.paths.shown) from None
        found = replace(found, warnings=tuple(notices))
        with stage(progress, "Report and files"):
            folder.write(FACTS_NAME, io.json_text(_facts(found)))
            folder.write(REPORT_NAME, render_prediction(found))
        return found

    own = () if request.weights is None else (weights_file(request.weights),)
    settings = f"{config.acquisition.model_dump_json()}\n{weights.digest()}"
    done = once(
        (*files.present(), *own),
        output,
        settings=hashlib.sha256(settings.encode()).hexdigest()[:16],
        work=work,
    )
    return PredictOutcome(
        report=output / REPORT_NAME,
        facts=parse_object(read_bytes(output / FACTS_NAME, limit=_LIMIT_BYTES)),
        skipped=done.skipped,
    )


def predict_exam(exam: CurveExam, weights: Weights, *, created: str) -> PredictionFindings:
    """Ask the networks about one exam.

    Args:
        exam: its curves.
        weights: of networks of sequences.
        created: when, as text for the report.

    Raises:
        FileError: the weights are of another kind.
    """
    from bolus.nets.sequence_fit import predict_sequence

    said = predict_sequence(CurveCohort(exams=(exam,)), weights)
    card = weights.card
    step = Step(
        "nets.predict_sequence",
        {
            "network": card.name,
            "weights": weights.digest()[:16],
            "trained_on": "simulated curves" if card.simulated else "patients",
        },
        source="10.1093/neuonc/noz095",
    )
    return PredictionFindings(
        label=exam.key.prefix,
        version=__version__,
        created=created,
        positive=positive_words(card),
        probability=float(said.probability[0]),
        lower=float(said.lower[0]),
        upper=float(said.upper[0]),
        members=np.asarray(said.members[0]),
        unlike=float(said.out_of_distribution[0]),
        unlike_limit=card.measured.get(_UNLIKE, float("nan")),
        attention=np.asarray(said.attention[0]),
        attention_s=np.asarray(said.time_s) + float(said.start_s[0]),
        exam=exam,
        card=card,
        weights_digest=weights.digest(),
        provenance=Provenance(steps=(step,)),
        protocol=_protocol(exam, card),
    )


def positive_words(card: ModelCard) -> str:
    """Return what the probability is of, such as "IDH-mutant".

    Example:
        >>> from bolus.core import ProtocolRange
        >>> card = ModelCard(name="a", kind="b", settings={"label": "idh", "positive": "mutant"},
        ...     trained_on="", simulated=True, protocol=ProtocolRange(limits={}), limits="",
        ...     version="0")
        >>> positive_words(card)
        'IDH-mutant'
    """
    label, positive = (str(card.settings.get(name, "")) for name in ("label", "positive"))
    return f"{label.upper() if label == 'idh' else label}-{positive}"


def _files(request: PredictRequest) -> CurveExamFiles:
    """Find the session in its dataset, with the labels that were given."""
    folder = request.session.resolve()
    key = io.session_key(Path(*folder.parts[-2:]) / "x") if len(folder.parts) > 1 else None
    if key is None or not folder.is_dir() or folder.name != Path(key.folder).name:
        raise _no_session(request.session)
    out_dir = folder.parents[len(Path(key.folder).parts) - 1]
    found = find_curve_exams(
        request.data or _dataset_of(out_dir), out_dir, participants=(key.subject,),
        sessions=(key.session,) if key.session else (),
    )  # fmt: skip
    files = next((item for item in found if item.key == key), None)
    if files is None:
        raise _no_session(request.session)
    if request.labels is None:
        return files
    drawn = {"tumour": request.labels}
    names = request.labels.with_name(stem_of(request.labels) + ".tsv")
    if names.is_file():
        drawn["tumour names"] = names
    kept = {name: path for name, path in files.made.items() if not name.startswith("tumour")}
    return replace(files, made={**kept, **drawn})


def _no_session(folder: Path) -> FileError:
    there = folder.exists()
    return FileError(
        Code.DATASET_INVALID if there else Code.FILE_MISSING,
        "is not the folder of a session" if there else "does not exist",
        mend="name the folder of one session that bolus run has written, such as OUT/sub-01",
        where=str(folder),
    )


def _dataset_of(out_dir: Path) -> Path:
    """Return the dataset in whose derivatives a folder lies."""
    for place in out_dir.parents:
        if place.name == "derivatives":
            return place.parent
    raise ConfigError(
        Code.USAGE,
        "lies in no derivatives folder, so its dataset is not known",
        mend="name the dataset with --data",
        where=str(out_dir),
    )


def _protocol(exam: CurveExam, card: ModelCard) -> tuple[ProtocolRow, ...]:
    values = protocol_of(exam.time, exam.acquisition)
    rows = []
    for name, (low, high) in card.protocol.limits.items():
        value = values.get(name)
        rows.append(
            ProtocolRow(
                name=name, value=float("nan") if value is None else value, low=low, high=high
            )
        )
    return tuple(rows)


def _facts(found: PredictionFindings) -> dict[str, object]:
    return {
        "session": found.label,
        "positive": found.positive,
        "probability": found.probability,
        "lower": found.lower,
        "upper": found.upper,
        "members": found.members,
        "unlike": found.unlike,
        "unlike_limit": found.unlike_limit,
        "is_unlike": found.is_unlike,
        "protocol": {row.name: [row.value, row.low, row.high] for row in found.protocol},
        "network": found.card.name,
        "weights": found.weights_digest,
        "trained_on_simulated_curves": found.card.simulated,
        "notices": list(found.warnings),
        "use": "Research use only. No diagnosis: genotype is read from tissue.",
    }
