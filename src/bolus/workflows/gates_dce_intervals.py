"""Gate 7 for DCE: 90 % intervals cover about 90 % of truths, and where they do not."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

import numpy as np

from bolus.core import stream
from bolus.quantify.dce_models import DCE_MODELS
from bolus.report.certificate_findings import ErrorRow, ErrorTable, Gate, Line, Panel, Part, Plot
from bolus.workflows.gates_dce_models import LABELS, TITLES
from bolus.workflows.gates_dce_object import PARAMETERS, Sampling, artery, regular, solve, uneven
from bolus.workflows.gates_request import GOALS, GateRequest

COVERAGE_PERCENT = (88.0, 92.0)
HALF_WIDTH = 1.6449
"""Standard errors on either side that hold 90 % of a normal distribution."""
VOXELS = 10_000
_DISTINCT = 500

Range = tuple[float, float]
LINEAR: Mapping[str, Range] = MappingProxyType(
    {"kep": (0.25, 1.5), "ve": (10.0, 50.0), "vp": (1.0, 8.0), "fp": (15.0, 60.0),
     "ps": (2.0, 12.0)}
)  # fmt: skip
"""Where washout is seen within the scan; kep [1/min]."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Case:
    """Voxels of one model, their sampling and noise.

    `snr` is the peak of each curve over its noise. `leak` replaces the range of Ktrans [1/min] of
    Patlak; `drawn` that of any other parameter.
    """

    name: str
    model: str
    sampling: Sampling
    snr: float
    drawn: Mapping[str, Range] = field(default_factory=lambda: LINEAR)
    leak: Range = (0.005, 0.05)


def draw_truth(case: Case, *, seed: int) -> dict[str, np.ndarray]:
    """Return parameters (voxels,) of the distinct tissues of a case."""
    random = stream(seed, "certify", "intervals", case.model)
    p = {key: random.uniform(*limits, _DISTINCT) for key, limits in case.drawn.items()}
    leak = random.uniform(*case.leak, _DISTINCT)
    p["ktrans"] = leak if case.model == "patlak" else p["kep"] * p["ve"] / 100
    return {key: p[key] for key in PARAMETERS[case.model]}


def coverage(case: Case, *, seed: int) -> dict[str, tuple[float, float]]:
    """Return, for every parameter, the cover [%] of 90 % intervals and the share without one [%].

    Args:
        case: voxels, sampling and noise.
        seed: of artery, tissues and noise.

    Source:
        Own; intervals are value plus and minus 1.645 standard errors.
    """
    truth = draw_truth(case, seed=seed)
    sampling = case.sampling
    clean = solve(case.model, truth, seed=seed).at(sampling.seconds)
    copies = VOXELS // _DISTINCT
    peaks = clean.max(axis=1, keepdims=True)
    random = stream(seed, "certify", "noise", case.name, case.model)
    noise = random.standard_normal((copies, *clean.shape)) * peaks / case.snr
    tissue = (clean + noise).reshape(VOXELS, -1)
    plasma = np.interp(sampling.arterial_seconds, *artery(seed))
    fit = DCE_MODELS[case.model]()(
        tissue, plasma, seconds=sampling.seconds, arterial_seconds=sampling.arterial_seconds
    )
    result = {}
    for key, values in truth.items():
        spread = fit.std(key)
        known = np.isfinite(spread) & np.isfinite(fit[key])
        hit = np.abs(fit[key] - np.tile(values, copies))[known] < HALF_WIDTH * spread[known]
        cover = float(100 * hit.mean()) if known.any() else float("nan")
        result[key] = (cover, float(100 * (1 - known.mean())))
    return result


def _fine(name: str, seconds: np.ndarray) -> Sampling:
    return Sampling(name=name, seconds=seconds, arterial_seconds=regular(0.5))


def linear_cases() -> tuple[Case, ...]:
    """Return the cases of the gate: errors are small beside the parameters there."""
    ways = (
        (_fine("3 s", regular(3.0)), 100.0),
        (_fine("3 s", regular(3.0)), 50.0),
        (_fine("1.5 s", regular(1.5)), 50.0),
        (_fine("uneven", uneven()), 50.0),
    )
    return tuple(
        Case(name=f"{sampling.name}, SNR {snr:g}", model=model, sampling=sampling, snr=snr)
        for model in ("tofts", "extended_tofts", "patlak")
        for sampling, snr in ways
    )


def other_cases() -> tuple[Case, ...]:
    """Return cases in which a fit is not linear, or the artery is not known well enough."""
    usual = _fine("3 s", regular(3.0))
    short = _fine("3 s for 2 min", regular(3.0)[:40])
    slow = {**LINEAR, "kep": (0.02, 0.1)}
    model = "extended_tofts"
    return (
        Case(
            name="slow washout (kep 0.02-0.1), SNR 50", snr=50.0, drawn=slow, model=model,
            sampling=usual,
        ),
        Case(name="2 min only, SNR 50", model="extended_tofts", sampling=short, snr=50.0),
        Case(name="SNR 10", snr=10.0, model=model, sampling=usual),
        Case(
            name="no plasma to speak of (vp 0-0.2), SNR 50", snr=50.0,
            drawn={**LINEAR, "vp": (0.0, 0.2)}, model=model, sampling=usual,
        ),
        Case(
            name="artery at 3 s only, SNR 100", model="extended_tofts", snr=100.0,
            sampling=Sampling(name="", seconds=regular(3.0), arterial_seconds=regular(3.0)),
        ),
        Case(name="no leakage, SNR 20", model="patlak", sampling=usual, snr=20.0, leak=(0, 1e-9)),
        *(
            Case(name=f"SNR {snr:g}", model=name, sampling=usual, snr=snr)
            for name in ("two_compartment_uptake", "two_compartment_exchange")
            for snr in (100.0, 20.0)
        ),
    )  # fmt: skip


def interval_part(request: GateRequest) -> Part:
    """Measure gate 7, draw coverage against SNR, and tabulate where intervals are not honest.

    Args:
        request: the seed decides artery, tissues and noise.
    """
    gates = tuple(
        Gate(
            name=f"{LABELS[key]}, 90 % interval",
            what=f"truths within 1.645 standard errors, {VOXELS} voxels, {case.name}",
            object=case.name,
            method=TITLES[case.model],
            value=cover,
            unit="%",
            low=COVERAGE_PERCENT[0],
            high=COVERAGE_PERCENT[1],
            source=f"limits: {GOALS}",
        )
        for case in linear_cases()
        for key, (cover, _) in coverage(case, seed=request.seed).items()
    )
    return Part(
        title="Standard errors",
        text=(
            "Intervals of 90 % around noisy fits of tissues whose washout is seen within the scan "
            "(kep 0.25 to 1.5 per minute, 300 s), noise white. SNR is the peak of each curve over "
            "its noise. The table tells where intervals are not honest; it is no gate."
        ),
        gates=gates,
        plots=(_snr_plot(request),),
        tables=(_table(request),),
    )


def _table(request: GateRequest) -> ErrorTable:
    rows = []
    for case in other_cases():
        found = coverage(case, seed=request.seed)
        shown = [found[key][0] - 90 if key in found else float("nan") for key in LABELS]
        lost = max(share for _, share in found.values())
        rows.append(ErrorRow(object=case.name, method=TITLES[case.model], errors=(*shown, lost)))
    return ErrorTable(
        title="Cover less 90 %",
        text=(
            "Cover of 90 % intervals less 90, in points of per cent, and the largest share of "
            "voxels in which a parameter has no interval (on a bound, or not determined)."
        ),
        columns=(*LABELS.values(), "without"),
        absolute=("without",),
        rows=tuple(rows),
    )


def _snr_plot(request: GateRequest) -> Plot:
    panels = []
    for model in ("tofts", "extended_tofts", "patlak", "two_compartment_exchange"):
        found = [
            coverage(
                Case(
                    name=f"plot, SNR {snr:g}",
                    model=model,
                    sampling=_fine("3 s", regular(3.0)),
                    snr=snr,
                ),
                seed=request.seed,
            )
            for snr in request.profile.snrs
        ]
        lines = tuple(
            Line(
                name=LABELS[key], x=request.profile.snrs, y=tuple(one[key][0] - 90 for one in found)
            )
            for key in PARAMETERS[model]
        )
        panels.append(Panel(title=TITLES[model], lines=lines, perfect="zero"))
    return Plot(
        title="Cover of 90 % intervals by noise",
        text="Cover less 90 by SNR, 3 s a frame, washout seen within the scan.",
        x_label="SNR",
        y_label="cover - 90 [%]",
        keys=("ktrans",),
        panels=tuple(panels),
    )
