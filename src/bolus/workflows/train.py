"""Train a network from files or simulated patients to weights, results and a page."""

import hashlib
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from bolus import io
from bolus.core import CurveCohort, ModelCard
from bolus.errors import Code, ConfigError
from bolus.io.weights import read_weights
from bolus.simulate import simulate_curve_cohort
from bolus.workflows.config import Config
from bolus.workflows.curve_exams import CurveExamFiles, find_curve_exams, read_curve_cohort
from bolus.workflows.evaluate import EvaluateRequest, evaluate
from bolus.workflows.exam import now_text, once
from bolus.workflows.networks import require_networks, require_one_source, weights_file
from bolus.workflows.outputs import REPORT_NAME
from bolus.workflows.progress import Progress, silent, stage
from bolus.workflows.train_leakage import learn_leakage
from bolus.workflows.train_outputs import training_manifest, write_training
from bolus.workflows.train_recipes import Evaluated, Learnt, TrainingPlan, learn_codes
from bolus.workflows.train_sequence import evaluated_in, learn_sequence

UNFINISHED = "-unfinished"
"""Ending of the folder beside the output from which a stopped training goes on."""
EVALUATION = "-evaluation"
"""Ending of the folder beside the output with what such a network is worth."""
MARK = "bolus-training.txt"
_MARK_TEXT = "Checkpoints of `bolus train`: repeat the command to go on, or delete this folder.\n"
DEVICES = ("auto", "cpu", "gpu")
FEWEST = 20
"""Simulated patients that can be dealt to three parts."""

ONLY_SIMULATED = ("leakage",)
"""Models whose own data are not read yet."""

Recipe = Callable[[TrainingPlan, Config], Learnt]


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainRequest:
    """Which network, on what, and where to: `data` with its `derivatives`, or `simulated`.

    `evaluate` sets a network that predicts beside baselines first, in a folder beside the output.
    """

    model: str
    output: Path
    data: Path | None = None
    derivatives: Path | None = None
    simulated: int | None = None
    device: str = "auto"
    evaluate: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainOutcome:
    """Where weights and page are, and what is known of the network."""

    weights: Path
    report: Path
    card: ModelCard
    skipped: bool


def train_model(
    request: TrainRequest, config: Config, *, progress: Progress = silent
) -> TrainOutcome:
    """Train a network, evaluate it on patients it never saw, and write its folder as a whole.

    What is stopped goes on from its last epoch when it is asked for again.

    Args:
        request: what to train.
        config: its sections `train` and `codes`.
        progress: told about every stage and epoch.

    Raises:
        ConfigError: no such model, or not one source of curves.
        ResourceError: a library is absent, or there is no GPU where one was asked for.
        LeakageError: a patient is in two parts, or the test part was looked at before.
        BolusError: the data cannot be used.
        KeyboardInterrupt: it was stopped; what is needed to go on is kept beside the output.
    """
    recipe = _recipe(request)
    require_networks()
    if request.device == "gpu":
        from bolus.nets.machine import Machine

        Machine(accelerator=request.device)  # says now, not after minutes, that there is none
    kept = request.output.with_name(request.output.name + UNFINISHED)

    found = _found(request)
    evaluated = _evaluated(request, config, progress)

    def work(folder: io.OutputFolder) -> Learnt:
        folder.expect(training_manifest())
        _keep(kept)
        cohort, left_out = _curves(request, found, config, progress)
        plan = TrainingPlan(
            cohort=cohort, source=_source(request, config),
            simulated=request.simulated is not None, device=request.device, folder=kept,
            patients=request.simulated or 0,
            progress=progress, notices=left_out, evaluated=evaluated,
        )  # fmt: skip
        learnt = recipe(plan, config)
        with stage(progress, "Report and files"):
            write_training(
                folder, learnt, label=request.model, created=now_text(), settings=_settings(config)
            )
        return learnt

    files = tuple(path for item in found for path in item.present())
    done = once(files, request.output, settings=_digest(request, config), work=work)
    _forget(kept)
    weights = weights_file(request.output)
    return TrainOutcome(
        weights=weights,
        report=request.output / REPORT_NAME,
        card=read_weights(weights).card,
        skipped=done.skipped,
    )


def _evaluated(request: TrainRequest, config: Config, progress: Progress) -> Evaluated | None:
    """Look once at the test part with networks that are trained in the same way."""
    if request.model != "sequence" or not request.evaluate:
        return None
    folder = request.output.with_name(request.output.name + EVALUATION)
    evaluate(
        EvaluateRequest(
            output=folder, data=request.data, derivatives=request.derivatives,
            simulated=request.simulated, device=request.device,
        ),
        config,
        progress=progress,
    )  # fmt: skip
    return evaluated_in(folder)


def _found(request: TrainRequest) -> tuple[CurveExamFiles, ...]:
    """Return the sessions of a dataset; none where patients are simulated."""
    if request.data is None:
        return ()
    folder = request.derivatives or request.data / "derivatives" / "bolus"
    return find_curve_exams(request.data, folder)


def _curves(
    request: TrainRequest, found: tuple[CurveExamFiles, ...], config: Config, progress: Progress
) -> tuple[CurveCohort, tuple[str, ...]]:
    """Return the exams to learn on, and a line about each session that was left out."""
    if request.data is not None:
        read = read_curve_cohort(request.data, found, config, progress=progress)
        left_out = tuple(f"{key.prefix} left out: {why}" for key, why in read.left_out)
        return read.cohort, left_out
    assert request.simulated is not None  # one of both was asked for
    if request.model in ONLY_SIMULATED:
        return CurveCohort(exams=()), ()
    with stage(progress, "Simulated patients"):
        return simulate_curve_cohort(request.simulated, seed=config.train.seed), ()


def _source(request: TrainRequest, config: Config) -> str:
    if request.data is not None:
        return "Curves of a dataset of its user."
    return (
        f"Curves of {request.simulated} simulated patients with untreated gliomas on simulated "
        f"scanners (seed {config.train.seed}); no patient was in them."
    )


def _recipe(request: TrainRequest) -> Recipe:
    if request.model not in RECIPES:
        raise ConfigError(
            Code.USAGE,
            f"'{request.model[:40]}' cannot be trained; expected {', '.join(RECIPES)}",
            mend="see bolus train --help",
            where="MODEL",
        )
    if request.device not in DEVICES:
        raise ConfigError(
            Code.USAGE,
            f"the device is '{request.device[:40]}', expected {', '.join(DEVICES)}",
            mend="check --device",
            where="--device",
        )
    require_one_source(request.data, request.simulated, fewest=FEWEST)
    if request.data is not None and request.model in ONLY_SIMULATED:
        raise ConfigError(
            Code.USAGE,
            f"{request.model} is learnt on simulated patients only so far",
            mend="give --simulated NUMBER",
            where="--data",
        )
    return RECIPES[request.model]


def _settings(config: Config) -> dict[str, object]:
    return {
        "train": config.train.model_dump(mode="json"),
        "codes": config.codes.model_dump(mode="json"),
    }


def _digest(request: TrainRequest, config: Config) -> str:
    """Name what decides the weights besides the files: not where they are learnt."""
    asked = f"{request.model} {request.simulated} {request.evaluate}"
    text = f"{asked} {io.json_text(_settings(config))}"
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _keep(folder: Path) -> None:
    """Make the folder of checkpoints, with a line that says what it is."""
    folder.mkdir(parents=True, exist_ok=True)
    io.write_atomically(folder / MARK, _MARK_TEXT.encode())


def _forget(folder: Path) -> None:
    """Remove the folder of checkpoints, if it is one."""
    if (folder / MARK).is_file():
        shutil.rmtree(folder)


RECIPES: Mapping[str, Recipe] = MappingProxyType(
    {"codes": learn_codes, "sequence": learn_sequence, "leakage": learn_leakage}
)
