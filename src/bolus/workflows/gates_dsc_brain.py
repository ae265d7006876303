"""Whole simulated exams, from signal to maps: a plausible brain, the same again, the tumour."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from bolus.core import Mask, ParameterMap
from bolus.metrics import within_subject_cv
from bolus.report import DscFindings
from bolus.report.certificate_findings import ErrorRow, ErrorTable, Gate, Part
from bolus.simulate import PROTOCOLS, PatientSettings, SimulatedPatient, simulate_patient
from bolus.workflows.config import Config, parse_config
from bolus.workflows.dsc import HEALTHY_RATIOS, DscScan, quantify_dsc
from bolus.workflows.gates_request import GOALS, GateRequest, Profile
from bolus.workflows.progress import Progress, stage

HEALTHY_MTT_S = (3.0, 7.0)
"""Mean transit time of healthy grey matter [s]."""
LEAKING = ("hypovascular", "hypervascular")
"""Parts of the tumour that leak and hold blood."""
MOST_VARIATION = 0.10
"""Within-subject coefficient of variation of nCBV that scan and rescan may have."""

_WHITE, _GREY = "wm", "gm"
_WHOLE_EXAM = "whole exam"
_BRAIN_SOURCE = f"limits: {GOALS}, after ratios and transit times measured in healthy brains"
_REPEAT_SOURCE = f"limits: {GOALS}; coefficient of variation: Bland and Altman, BMJ 1996;313:106"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Exam:
    """A simulated patient and what the main job found."""

    patient: SimulatedPatient
    findings: DscFindings


def simulate_exam(
    protocol: str, *, seed: int, profile: Profile | None = None, scan: int = 0
) -> SimulatedPatient:
    """Simulate one patient with every disturbance, on the grid of the profile or protocol.

    Args:
        protocol: a key of `PROTOCOLS`.
        seed: which patient.
        profile: sets the grid; None keeps that of the protocol.
        scan: which scan of this patient.
    """
    chosen = PROTOCOLS[protocol]
    if profile is not None:
        chosen = dataclasses.replace(chosen, shape=profile.shape, voxel_mm=profile.voxel_mm)
    return simulate_patient(PatientSettings(seed=seed, scan=scan, protocol=chosen))


def quantify_exam(patient: SimulatedPatient, config: Config | None = None) -> DscFindings:
    """Run the whole main job on a simulated patient: AIF, masks and white matter are searched."""
    scan = DscScan(
        label="",
        signal=patient.signal,
        second_echo=patient.second_echo,
        tumour=patient.tumour,
    )
    return quantify_dsc(scan, config or Config(), created="")


def brain_figures_of_truth(patient: SimulatedPatient) -> dict[str, float]:
    """Return grey over white matter of "cbv" and "cbf", and "mtt" [s] of grey matter, as put in."""
    truth, healthy = patient.truth, ~patient.tumour.foreground.values
    grey, white = (patient.tissues.mask(name).values & healthy for name in (_GREY, _WHITE))
    ratios = {key: _median(truth[key], grey) / _median(truth[key], white) for key in HEALTHY_RATIOS}
    return {**ratios, "mtt": _median(truth["mtt"], grey)}


def brain_figures_found(exam: Exam) -> dict[str, float]:
    """Return the same figures as the main job finds them; NaN where it found no grey matter."""
    patient, findings = exam.patient, exam.findings
    grey = patient.tissues.mask(_GREY).values & ~patient.tumour.foreground.values
    ratios = {ratio.key: ratio.value for ratio in findings.ratios}
    found = {key: ratios.get(key, float("nan")) for key in HEALTHY_RATIOS}
    return {**found, "mtt": _median(findings.maps["mtt"], grey)}


def _median(item: ParameterMap, inside: np.ndarray) -> float:
    values = item.values[inside]
    values = values[np.isfinite(values)]
    return float(np.median(values)) if values.size else float("nan")


def largest_difference(first: DscFindings, second: DscFindings) -> float:
    """Return the largest absolute difference of any voxel of any map; a lost voxel is infinite."""
    if set(first.maps) != set(second.maps):
        return float("inf")
    largest = 0.0
    for key, item in first.maps.items():
        a, b = item.values, second.maps[key].values
        if not np.array_equal(np.isnan(a), np.isnan(b)):
            return float("inf")
        largest = max(largest, float(np.abs(a - b)[~np.isnan(a)].max(initial=0.0)))
    return largest


def part_means(exam: Exam) -> dict[str, float]:
    """Return mean nCBV of every part of the tumour in which voxels have an answer."""
    found = exam.findings.maps["ncbv"]
    parts = [exam.patient.tumour.mask(name) for name in exam.patient.tumour.names.values()]
    values = {part.name: found.inside(part) for part in parts if part.count}
    return {name: float(inside.mean()) for name, inside in values.items() if inside.size}


def variation(exams: tuple[Exam, ...]) -> float:
    """Return the within-subject coefficient of variation of nCBV over the parts of the tumour."""
    means = [part_means(exam) for exam in exams]
    shared = [name for name in means[0] if all(name in other for other in means)]
    table = np.array([[other[name] for other in means] for name in shared])
    return float(within_subject_cv(table).within_cv)


def ncbv_error_percent(patient: SimulatedPatient, findings: DscFindings, region: Mask) -> float:
    """Return the error [%] of mean nCBV within a region; NaN where it has no voxel."""
    found, truth = findings.maps["ncbv"].values, patient.truth["ncbv"].values
    inside = region.values & np.isfinite(found) & np.isfinite(truth)
    if not inside.any():
        return float("nan")
    return float(100 * (found[inside].mean() / truth[inside].mean() - 1))


def brain_parts(request: GateRequest, progress: Progress) -> tuple[Part, ...]:
    """Measure gates 5 and 6 and the tumour's nCBV on whole exams: each exam is run once.

    Args:
        request: the profile says which protocols and grid.
        progress: told about every exam.
    """
    exams: dict[str, Exam] = {}
    for name in request.profile.protocols:
        with stage(progress, f"Exam {name}"):
            exams[name] = _exam(request, name)
    return (
        _plausible_part(exams),
        _repeat_part(request, exams, progress),
        _tumour_part(request, exams, progress),
    )


def _exam(request: GateRequest, protocol: str, *, scan: int = 0) -> Exam:
    patient = simulate_exam(protocol, seed=request.seed, profile=request.profile, scan=scan)
    return Exam(patient=patient, findings=quantify_exam(patient))


def _plausible_part(exams: Mapping[str, Exam]) -> Part:
    """Gate 5: what was put in is a human brain, and what is found still is one."""
    first = next(iter(exams.values()))
    gates = _brain_gates(brain_figures_of_truth(first.patient), "simulated brain", "truth")
    for name, exam in exams.items():
        gates += _brain_gates(brain_figures_found(exam), f"simulated brain, {name}", _WHOLE_EXAM)
    return Part(
        title="Plausible brain",
        text=(
            "A healthy brain has about twice as much blood in grey as in white matter. First what "
            "the simulator puts in, then what the whole main job with its default settings finds "
            "from the noisy, moving series: artery, brain and white matter are searched."
        ),
        gates=tuple(gates),
    )


def _brain_gates(figures: Mapping[str, float], place: str, method: str) -> list[Gate]:
    words = {
        "cbv": ("grey : white CBV", "ratio of the medians of CBV", ""),
        "cbf": ("grey : white CBF", "ratio of the medians of CBF", ""),
        "mtt": ("grey matter MTT", "median mean transit time of grey matter", "s"),
    }
    limits = {**HEALTHY_RATIOS, "mtt": HEALTHY_MTT_S}
    return [
        Gate(
            name=name,
            what=what,
            object=place,
            method=method,
            value=figures[key],
            unit=unit,
            low=limits[key][0],
            high=limits[key][1],
            source=_BRAIN_SOURCE,
        )
        for key, (name, what, unit) in words.items()
    ]


def _repeat_part(request: GateRequest, exams: Mapping[str, Exam], progress: Progress) -> Part:
    """Gate 6: nothing is left to chance, and noise moves nCBV little."""
    name, exam = next(iter(exams.items()))
    with stage(progress, "The same scan again"):
        again = _exam(request, name)
    with stage(progress, "Second scan of the patient"):
        second = _exam(request, name, scan=1)
    simulated = np.abs(exam.patient.signal.values - again.patient.signal.values).max()
    place = f"simulated patient, {name}"
    return Part(
        title="Repeatability",
        text=(
            "The same patient simulated and quantified twice has to give the same bytes. A second "
            "scan has other noise, drift, motion and coil sensitivity; the coefficient of "
            "variation is that of mean nCBV within the parts of the tumour."
        ),
        gates=(
            Gate(
                name="same scan twice",
                what="largest difference of any voxel of the series and of all maps",
                object=place,
                method=_WHOLE_EXAM,
                value=max(float(simulated), largest_difference(exam.findings, again.findings)),
                low=0.0,
                high=0.0,
                source=_REPEAT_SOURCE,
            ),
            Gate(
                name="scan and rescan",
                what="within-subject coefficient of variation of nCBV over the tumour's parts",
                object=place,
                method=_WHOLE_EXAM,
                value=100 * variation((exam, second)),
                unit="%",
                high=100 * MOST_VARIATION,
                source=_REPEAT_SOURCE,
            ),
        ),
    )


def _tumour_part(request: GateRequest, exams: Mapping[str, Exam], progress: Progress) -> Part:
    """Tabulate how far the tumour's nCBV is off in whole exams; no gate."""
    first = next(iter(exams.values())).patient
    parts = [n for n in first.tumour.names.values() if first.tumour.mask(n).count]
    rows = []
    for name, exam in exams.items():
        corrected = str(exam.findings.settings["leakage_correction"])
        rows.append(_tumour_row(exam.patient, exam.findings, parts, name, corrected))
        if request.profile.uncorrected:
            with stage(progress, f"Exam {name}, uncorrected"):
                plain = quantify_exam(exam.patient, parse_config('dsc.leakage_correction = "none"'))
            rows.append(_tumour_row(exam.patient, plain, parts, name, "uncorrected"))
    table = ErrorTable(
        title="Tumour nCBV of whole exams",
        text="Error of the mean over voxels that have an answer and a truth.",
        columns=("whole tumour", "leaking parts", *parts),
        rows=tuple(rows),
    )
    return Part(
        title="Tumour in whole exams",
        text=(
            "Noise, drift, head motion and its correction, the artery that was found and the white "
            "matter that was found all stand between the tumour and its number. These are no gates."
        ),
        tables=(table,),
    )


def _tumour_row(
    patient: SimulatedPatient,
    findings: DscFindings,
    parts: list[str],
    protocol: str,
    method: str,
) -> ErrorRow:
    tumour = patient.tumour
    leaking = [name for name in parts if name in LEAKING]
    regions = [tumour.foreground, *(tumour.mask(name) for name in parts)]
    errors = [ncbv_error_percent(patient, findings, region) for region in regions]
    middle = float("nan")
    if leaking:
        middle = ncbv_error_percent(patient, findings, tumour.mask(*leaking))
    return ErrorRow(
        object=f"simulated patient, {protocol}",
        method=method,
        errors=(errors[0], middle, *errors[1:]),
    )
