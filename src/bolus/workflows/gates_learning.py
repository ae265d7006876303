"""The chapter of learning: what predictors find where there is nothing, and that leaks are caught.

Cohorts are simulated. Labels are dealt at random before a predictor sees anything, by the same
function as `bolus evaluate --permuted`.
"""

import dataclasses
from collections.abc import Sequence

import numpy as np
from scipy import stats

from bolus.core import CurveCohort, SessionKey, split_subjects, stream
from bolus.errors import LeakageError, ResourceError
from bolus.habitats.judge import Judging, blind, dealt_parts, judge, null_aucs
from bolus.habitats.predictors import (
    BASELINES,
    Features,
    Outcome,
    Predictor,
    Probabilities,
    forest,
    site_only,
)
from bolus.report.certificate_findings import ErrorRow, ErrorTable, Gate, Part
from bolus.simulate import simulate_curve_cohort
from bolus.simulate.null import ALPHA, AUC_TOLERANCE, FALSE_POSITIVES, Finding, finding
from bolus.workflows.config import parse_config
from bolus.workflows.evaluate_predictors import LEARNED, PREDICTORS
from bolus.workflows.gates_request import GOALS, GateRequest
from bolus.workflows.networks import require_networks
from bolus.workflows.progress import Progress, stage

IDH = Outcome(label="idh", positive="mutant")
CAUGHT = 0.6
"""Mean AUC on dealt labels that a leak has to reach for the control to have seen it."""
_PATIENTS, _TESTED, _VOXELS = 160, 0.45, 60
"""Patients, the share of them that is judged by, and voxels of each tumour."""
_REPEATS = {"quick": 200, "full": 400}
_NETWORK_REPEATS = {"quick": 40, "full": 200}
_LEAKS = {"quick": 60, "full": 200}
_NETWORKS = "train.epochs = 2\ntrain.members = 2"
"""So that many fits are affordable; a leak would show all the same."""
_NOISE = 400
_SOURCE = f"limit: {GOALS}"


def certify_learning(request: GateRequest, progress: Progress) -> tuple[Part, ...]:
    """Measure what predictors find where there is nothing, and whether leaks are caught.

    Args:
        request: seed and profile.
        progress: told about every stage.

    Returns:
        The parts in the order of the page.
    """
    with stage(progress, "Curve cohort"):
        parts = cohorts(request.seed)
    return null_part(request, parts, progress), leak_part(request, parts, progress)


def cohorts(seed: int) -> tuple[CurveCohort, CurveCohort]:
    """Return patients to fit on, and others on the same scanners to judge by.

    Args:
        seed: decides them.
    """
    cohort = simulate_curve_cohort(_PATIENTS, seed=seed, voxels=_VOXELS).labelled(IDH.label)
    split = split_subjects(
        cohort.subjects, seed=seed, validation=0.0, test=_TESTED, strata=cohort.sites
    )
    return cohort.of(split.development), cohort.of(split.test)


def null_part(
    request: GateRequest, parts: tuple[CurveCohort, CurveCohort], progress: Progress
) -> Part:
    """Return the gates of fits to labels that were dealt at random.

    Args:
        request: seed and profile.
        parts: of `cohorts`.
        progress: told about every predictor.
    """
    profile = request.profile.name
    found: dict[str, tuple[Finding, ...]] = {}
    with stage(progress, "Dealt labels, baselines"):
        for make in BASELINES:
            own = make(IDH)
            found[own.name] = _null(own, parts, _REPEATS[profile], request.seed)
    networks, why = _networks()
    for own in networks:
        with stage(progress, f"Dealt labels, {own.name}"):
            found[own.name] = _null(own, parts, _NETWORK_REPEATS[profile], request.seed)
    gates = [gate for name, claims in found.items() for gate in _null_gates(name, claims)]
    if why:
        gates += [_not_run(name, why) for name in LEARNED]
    return Part(
        title="Labels dealt at random",
        text=(
            f"{len(parts[0].exams)} simulated gliomas are fitted on and {len(parts[1].exams)} "
            "are judged, after the labels of both were dealt at random. What is found is wrong. "
            "Networks train for few epochs and few members here, so that they can be fitted often."
        ),
        gates=tuple(gates),
        tables=(_counts_table(found),),
    )


def leak_part(
    request: GateRequest, parts: tuple[CurveCohort, CurveCohort], progress: Progress
) -> Part:
    """Return the gates of leaks that must not pass unseen.

    Args:
        request: seed and profile.
        parts: of `cohorts`.
        progress: told about it.
    """
    repeats = _LEAKS[request.profile.name]
    with stage(progress, "Planted leaks"):
        stopped = float(planted_stops(*parts))
        outside, inside = (
            [selected(parts, seed=request.seed + n, outside=way) for n in range(repeats)]
            for way in (True, False)
        )
    what = f"simulated cohort, {repeats} dealings of the labels"
    return Part(
        title="Leaks are caught",
        text=(
            "A patient who is fitted on is planted in the test part as another visit: the run has "
            f"to stop. Then 5 of {_NOISE} columns of noise are chosen by their correlation with "
            "dealt labels of all patients, the test part among them, before a forest is fitted: "
            "the control has to notice. The same choice inside the fold finds nothing."
        ),
        gates=(
            Gate(name="planted patient", what="runs that stop, of 1", method="judge",
                 value=stopped, low=1.0, high=1.0, object=what, source=_SOURCE),
            Gate(name="choice outside the fold", what="mean AUC where nothing is to be found",
                 method="forest on chosen columns",
                 value=float(np.mean([one.auc for one in outside])), low=CAUGHT, object=what,
                 source=_SOURCE),
            Gate(name="choice inside the fold", what="mean AUC where nothing is to be found",
                 method="forest on chosen columns",
                 value=float(np.mean([one.auc for one in inside])),
                 low=0.5 - AUC_TOLERANCE, high=0.5 + AUC_TOLERANCE, object=what, source=_SOURCE),
        ),
    )  # fmt: skip


def planted_stops(development: CurveCohort, test: CurveCohort) -> bool:
    """Return whether a patient in both parts stops the judging.

    Args:
        development: to fit on.
        test: to judge by; one more exam is added.
    """
    subject = development.exams[0].key.subject
    visit = dataclasses.replace(development.exams[0], key=SessionKey(subject, "2"))
    planted = CurveCohort(exams=(*test.exams, visit))
    try:
        judge([site_only(IDH)], development, planted, outcome=IDH, how=Judging(seeds=(1,)))
    except LeakageError:
        return True
    return False


def selected(parts: tuple[CurveCohort, CurveCohort], *, seed: int, outside: bool) -> Finding:
    """Return what a forest on chosen columns of noise finds in dealt labels.

    Args:
        parts: whose labels are dealt.
        seed: of dealing, noise and forest.
        outside: choose with the labels of all patients; otherwise with those of the fit.
    """
    development, test = dealt_parts(*parts, outcome=IDH, seed=seed)
    exams = development.exams + test.exams
    noise = stream(seed, "gates", "noise columns").standard_normal((len(exams), _NOISE))
    columns = {exam.key: row for exam, row in zip(exams, noise, strict=True)}
    everyone = CurveCohort(exams=exams)

    def learn(training: CurveCohort, validation: CurveCohort, own: int) -> Features:  # noqa: ARG001
        seen = everyone if outside else training
        rows = np.array([columns[exam.key] for exam in seen.exams])
        chosen = np.argsort(-np.abs((rows - rows.mean(0)).T @ (IDH.of(seen) - 0.5)))[:5]
        return lambda exam: columns[exam.key][chosen]

    fitted: Probabilities = forest("chosen", IDH, learn).fit(
        development, CurveCohort(exams=()), seed
    )
    return finding(fitted(blind(test)), IDH.of(test).astype(np.int64))


def _null(
    predictor: Predictor, parts: tuple[CurveCohort, CurveCohort], repeats: int, seed: int
) -> tuple[Finding, ...]:
    return null_aucs(predictor, *parts, outcome=IDH, repeats=repeats, seed=seed)


def _networks() -> tuple[tuple[Predictor, ...], str]:
    """Return predictors that learn from curves; none, and why, where their libraries are absent."""
    try:
        require_networks()
    except ResourceError as absent:
        return (), str(absent)
    config = parse_config(_NETWORKS)
    return tuple(PREDICTORS[name](IDH, config, "cpu") for name in LEARNED), ""


def _null_gates(name: str, claims: Sequence[Finding]) -> tuple[Gate, Gate]:
    """Return the gates of one predictor.

    The share of findings is held to what a true share of 6 % gives in 95 % of such controls.
    """
    runs = len(claims)
    false = sum(claim.p_value < ALPHA for claim in claims)
    most = float(stats.binom.ppf(0.95, runs, FALSE_POSITIVES))
    what = f"simulated cohort, {runs} dealings of the labels"
    return (
        Gate(name=f"AUC, {name}", what="mean AUC of the test patients", object=what, method=name,
             value=float(np.mean([claim.auc for claim in claims])), low=0.5 - AUC_TOLERANCE,
             high=0.5 + AUC_TOLERANCE, source=_SOURCE),
        Gate(name=f"findings, {name}",
             what=f"share with p < 0.05: {false} of {runs}; limit 6 %, with its chance of counting",
             object=what, method=name, value=100 * false / runs, unit="%", high=100 * most / runs,
             source=_SOURCE),
    )  # fmt: skip


def _not_run(name: str, why: str) -> Gate:
    return Gate(
        name=f"AUC, {name}", what="mean AUC of the test patients", object="simulated cohort",
        method=name, value=None, low=0.5 - AUC_TOLERANCE, high=0.5 + AUC_TOLERANCE,
        source=_SOURCE, note=why,
    )  # fmt: skip


def _counts_table(found: dict[str, tuple[Finding, ...]]) -> ErrorTable:
    """Tabulate how often each predictor was fitted, what it found, and how it spread."""
    columns = ("fits", "mean AUC [%]", "standard deviation [%]", "p < 0.05")
    rows = tuple(
        ErrorRow(
            object="dealt labels",
            method=name,
            errors=(
                float(len(claims)),
                100 * float(np.mean([claim.auc for claim in claims])),
                100 * float(np.std([claim.auc for claim in claims])),
                float(sum(claim.p_value < ALPHA for claim in claims)),
            ),
        )
        for name, claims in found.items()
    )
    return ErrorTable(
        title="Counts",
        text="Fits to dealt labels, and how many of them found something.",
        columns=columns,
        rows=rows,
        absolute=columns,
        what="values",
    )
