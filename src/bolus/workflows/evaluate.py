"""Evaluate predictors of an outcome on patients that nothing was fitted on."""

import hashlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from bolus import __version__, io
from bolus.core import CurveCohort
from bolus.errors import Code, ConfigError
from bolus.habitats.classifier_curves import calibration_groups, decision_curves, roc_row
from bolus.habitats.judge import Judgement, Judging, dealt_parts, judge
from bolus.habitats.predictors import Outcome, Predictor
from bolus.io.looks import read_looks, write_look
from bolus.metrics.folds import require_apart
from bolus.metrics.locked import Answer, look_at, require_one_look
from bolus.report.learning import outcome_words, render_learning
from bolus.report.learning_findings import LearningFindings, main_row
from bolus.simulate import simulate_curve_cohort
from bolus.simulate.curve_cohort import held_out_scanner
from bolus.workflows.config import Config
from bolus.workflows.curve_exams import CurveExamFiles, find_curve_exams, read_curve_cohort
from bolus.workflows.evaluate_outputs import evaluation_tables
from bolus.workflows.evaluate_predictors import PREDICTORS, chosen_predictors
from bolus.workflows.exam import now_text, once
from bolus.workflows.networks import require_one_source
from bolus.workflows.outputs import REPORT_NAME
from bolus.workflows.progress import Progress, silent, stage
from bolus.workflows.train_recipes import split_of

LOOKS = "looks"
"""Folder of the records of looks at test parts."""
FEWEST = 40
"""Simulated patients of which five folds have both classes."""
_SHORT = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluateRequest:
    """Which predictors, on what, and where to: `data` with its `derivatives`, or `simulated`.

    `held_out` tests simulated patients on a scanner that training has not seen, half as many as
    are `simulated`. `permuted` deals the labels of both parts at random with this seed before
    anything else is done. `controls` are further fits to dealt labels. `looks` is where the
    records of looks at test parts are.
    """

    output: Path
    predictors: tuple[str, ...] = ()
    data: Path | None = None
    derivatives: Path | None = None
    simulated: int | None = None
    held_out: bool = False
    permuted: int | None = None
    controls: int = 1
    device: str = "auto"
    looks: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class EvaluateOutcome:
    """Where the report is, and what was found; None if it had been done before."""

    report: Path
    judgement: Judgement | None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Parts:
    """Exams to fit on and exams to judge by, whose outcome is known, and what they are."""

    development: CurveCohort
    test: CurveCohort
    source: str
    warnings: tuple[str, ...] = ()


def evaluate(
    request: EvaluateRequest, config: Config, *, progress: Progress = silent
) -> EvaluateOutcome:
    """Fit predictors on the development part, look at the test part once, and write a page.

    Args:
        request: what to evaluate.
        config: its sections `train` and `codes`.
        progress: told about every stage and predictor.

    Raises:
        ConfigError: no such predictor, or not one source of curves.
        ResourceError: a library is absent, or the disk is full.
        LeakageError: a patient is in both parts, or was looked at before with another question.
        BolusError: the data cannot be used.
    """
    _check(request)
    outcome = Outcome(label=config.train.label, positive=config.train.positive)
    how = Judging(
        seeds=tuple(range(1, config.train.seeds + 1)),
        permutations=request.controls,
        seed=config.train.seed,
    )
    predictors = chosen_predictors(request.predictors, outcome, config, device=request.device)
    found = _found(request)

    def work(folder: io.OutputFolder) -> Judgement:
        parts = _parts(request, found, config, outcome, progress)
        require_apart(parts.development.subjects, parts.test.subjects)
        look = _look(request, config, parts, predictors, outcome, how)
        judgement = judged(parts, predictors, outcome, how, request.permuted, progress)
        findings = _findings(judgement, parts, request, config, how=how, look=look)
        tables = evaluation_tables(judgement, parts.test, _truth(parts, outcome, request.permuted))
        folder.expect(io.Manifest(must={*tables, REPORT_NAME}))
        with stage(progress, "Report and files"):
            for name, text in tables.items():
                folder.write(name, text)
            folder.write(REPORT_NAME, render_learning(findings))
        return judgement

    files = tuple(path for item in found for path in item.present())
    done = once(files, request.output, settings=_digest(request, config, predictors), work=work)
    return EvaluateOutcome(report=done.report, judgement=done.findings)


def judged(
    parts: Parts,
    predictors: Sequence[Predictor],
    outcome: Outcome,
    how: Judging,
    permuted: int | None,
    progress: Progress = silent,
) -> Judgement:
    """Judge predictors; with `permuted` after labels of both parts were dealt at random.

    Args:
        parts: exams.
        predictors: at least one baseline among them.
        outcome: to predict.
        how: folds, seeds and controls.
        permuted: seed of the dealing; None for the true labels.
        progress: told about every predictor.
    """
    development, test = parts.development, parts.test
    if permuted is not None:
        development, test = dealt_parts(development, test, outcome=outcome, seed=permuted)
    names = [one.name for one in predictors]

    def told(name: str) -> None:
        progress("Predictors", names.index(name), len(names))

    return judge(predictors, development, test, outcome=outcome, how=how, told=told)


def simulated_parts(
    patients: int, *, seed: int, outcome: Outcome, config: Config, held_out: bool
) -> Parts:
    """Return simulated patients in two parts.

    Args:
        patients: of the development part, or of both where no scanner is held out.
        seed: decides them.
        outcome: patients whose outcome is not known are left out.
        config: its section `train` has the share of the test part.
        held_out: half as many further patients on a scanner that training has not seen.
    """
    cohort = simulate_curve_cohort(patients, seed=seed).labelled(outcome.label)
    if held_out:
        others = simulate_curve_cohort(
            max(patients // 2, 1), seed=seed + 1, scanners=[held_out_scanner()]
        )
        return Parts(
            development=cohort,
            test=others.labelled(outcome.label),
            source=f"Fitted on {len(cohort.exams)} simulated patients from "
            f"{len(set(cohort.sites))} simulated scanners; tested on other simulated patients on "
            "a scanner whose repetition time, echo time and noise no training had.",
        )
    split = split_of(cohort, config)
    return Parts(
        development=cohort.of(split.development),
        test=cohort.of(split.test),
        source=f"Simulated patients from {len(set(cohort.sites))} simulated scanners, dealt to "
        "both parts scanner by scanner.",
    )


def _parts(
    request: EvaluateRequest,
    found: tuple[CurveExamFiles, ...],
    config: Config,
    outcome: Outcome,
    progress: Progress,
) -> Parts:
    if request.data is None:
        assert request.simulated is not None  # one of both was asked for
        with stage(progress, "Simulated patients"):
            return simulated_parts(
                request.simulated, seed=config.train.seed, outcome=outcome, config=config,
                held_out=request.held_out,
            )  # fmt: skip
    read = read_curve_cohort(request.data, found, config, progress=progress)
    cohort = read.cohort.labelled(outcome.label)
    unknown = len(read.cohort.exams) - len(cohort.exams)
    split = split_of(cohort, config)
    said = [f"{key.prefix} left out: {why}" for key, why in read.left_out]
    said += [f"{unknown} exams without the label {outcome.label} are left out"] * bool(unknown)
    return Parts(
        development=cohort.of(split.development),
        test=cohort.of(split.test),
        source=f"Patients of a dataset of its user, from {len(set(cohort.sites))} scanners, dealt "
        "to both parts scanner by scanner.",
        warnings=tuple(said),
    )


def _look(
    request: EvaluateRequest,
    config: Config,
    parts: Parts,
    predictors: Sequence[Predictor],
    outcome: Outcome,
    how: Judging,
) -> str:
    """Record the look at the test part before it is taken; dealt labels show nothing of it."""
    if request.permuted is not None:
        return ""
    folder = request.looks or _looks_folder(request)
    question: dict[str, Answer] = {
        "outcome": outcome.name,
        "predictors": [one.name for one in predictors],
        "folds": how.folds,
        "seeds": list(how.seeds),
        "seed": how.seed,
        "settings": io.json_text(_settings(config)),
    }
    look = look_at(parts.test, parts.development, question=question)
    require_one_look(look, read_looks(folder))
    write_look(folder, look, question=question)
    return look.test[:_SHORT]


def _looks_folder(request: EvaluateRequest) -> Path:
    """Return the folder beside the data, which all who evaluate on them share."""
    if request.data is None:
        return request.output.parent / LOOKS
    return (request.derivatives or request.data / "derivatives" / "bolus") / LOOKS


def _truth(parts: Parts, outcome: Outcome, permuted: int | None) -> list[bool]:
    test = parts.test
    if permuted is not None:
        _, test = dealt_parts(parts.development, test, outcome=outcome, seed=permuted)
    return [bool(one) for one in outcome.of(test)]


def _findings(
    judgement: Judgement,
    parts: Parts,
    request: EvaluateRequest,
    config: Config,
    *,
    how: Judging,
    look: str,
) -> LearningFindings:
    import numpy as np

    outcome = Outcome(label=config.train.label, positive=config.train.positive)
    truth = np.array(_truth(parts, outcome, request.permuted))
    main = main_row(judgement)
    rows = [main, *(row for row in judgement.rows if row is not main)]
    shown = {row.name: row.test_probability for row in dict.fromkeys(
        (main, judgement.best_baseline))}  # fmt: skip
    return LearningFindings(
        label=outcome_words(judgement),
        version=__version__,
        created=now_text(),
        judgement=judgement,
        how=how,
        source=parts.source,
        simulated=request.data is None,
        permuted=request.permuted is not None,
        rocs=tuple(roc_row(row.name, row.test_probability, truth) for row in rows),
        calibration=calibration_groups(main.test_probability, truth),
        decision=decision_curves(shown, truth),
        look=look,
        warnings=parts.warnings,
        settings=_settings(config),
    )


def _found(request: EvaluateRequest) -> tuple[CurveExamFiles, ...]:
    if request.data is None:
        return ()
    folder = request.derivatives or request.data / "derivatives" / "bolus"
    return find_curve_exams(request.data, folder)


def _check(request: EvaluateRequest) -> None:
    unknown = [name for name in request.predictors if name not in PREDICTORS]
    if unknown:
        raise ConfigError(
            Code.USAGE,
            f"'{unknown[0][:40]}' is not a predictor; there are {', '.join(PREDICTORS)}",
            mend="choose some of them, or none for all",
            where="--predictor",
        )
    require_one_source(request.data, request.simulated, fewest=FEWEST)


def _settings(config: Config) -> dict[str, object]:
    return {
        "train": config.train.model_dump(mode="json"),
        "codes": config.codes.model_dump(mode="json"),
    }


def _digest(request: EvaluateRequest, config: Config, predictors: Sequence[Predictor]) -> str:
    """Name what decides the result besides the files."""
    asked = {k: v for k, v in asdict(request).items() if k in ("simulated", "held_out", "permuted")}
    names = [one.name for one in predictors]
    text = f"{asked} {request.controls} {names} {io.json_text(_settings(config))}"
    return hashlib.sha256(text.encode()).hexdigest()[:_SHORT]
