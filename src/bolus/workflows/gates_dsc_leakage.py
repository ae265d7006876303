"""Leakage: the failure of uncorrected CBV, and what each correction makes of it."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from bolus.metrics import concordance
from bolus.quantify import LEAKAGE_MODELS, correct_leakage, integrate, signal_to_delta_r2s
from bolus.report.certificate_findings import ErrorRow, ErrorTable, Gate, Line, Panel, Part, Plot
from bolus.simulate import PROTOCOLS, LeakageObject, PatientSettings, build_leakage_object
from bolus.workflows.gates_request import GOALS, GateRequest

BASELINE = slice(5, 12)
"""Frames of the object before its bolus, in every protocol."""
CONSENSUS = ("no_preload_30", "preload_60")
"""The protocols of Boxerman et al., Neuro Oncol 2020;22:1262, where correction has to work."""
UNCORRECTED = "uncorrected"

_SHOWN = (*CONSENSUS, "no_preload_60")
_SOURCE = (
    f"limits: {GOALS}; concordance: Lin, Biometrics 1989;45:255; protocols: Boxerman et al., "
    "Neuro Oncol 2020;22:1262"
)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LeakageCheck:
    """The leakage object under one protocol, and the areas each method found, (voxels,) each.

    `areas` begins with "uncorrected"; the other names are those of `LEAKAGE_MODELS`.
    """

    protocol: str
    truth: LeakageObject
    areas: Mapping[str, np.ndarray]

    def voxels(self, *names: str) -> np.ndarray:
        """Return which voxels (n,) belong to regions of the object."""
        return np.asarray(self.truth.regions.mask(*names).values.ravel())

    def ncbv(self, method: str) -> np.ndarray:
        """Return nCBV (n,): the area over that of white matter."""
        area = self.areas[method]
        return np.asarray(area / area[self.voxels("white")].mean())

    def error(self, method: str) -> np.ndarray:
        """Return the relative error (n,) of nCBV."""
        return np.asarray(self.ncbv(method) / self.truth.ncbv - 1)

    def agreement(self, method: str) -> float:
        """Return Lin's concordance of nCBV with the truth over the leaking voxels."""
        leaky = self.voxels("leaky")
        return concordance(self.ncbv(method)[leaky], self.truth.ncbv[leaky]).value

    def largest_change(self, method: str) -> float:
        """Return by how much [%] a correction moves the area of any voxel that does not leak."""
        tight = self.voxels("tight", "white")
        return float(
            100 * np.abs(self.areas[method][tight] / self.areas[UNCORRECTED][tight] - 1).max()
        )

    @property
    def t1_dominant(self) -> np.ndarray:
        """Leaking voxels (n,) whose leaked agent shortens T2* the least."""
        return self._of_rate(float(self._rates.min()))

    @property
    def t2s_dominant(self) -> np.ndarray:
        """Leaking voxels (n,) whose leaked agent shortens T2* the most."""
        return self._of_rate(float(self._rates.max()))

    @property
    def _rates(self) -> np.ndarray:
        return np.asarray(self.truth.r2s_extravascular[self.voxels("leaky")])

    def _of_rate(self, rate: float) -> np.ndarray:
        return np.asarray(self.voxels("leaky") & (self.truth.r2s_extravascular == rate))


def check_leakage(protocol: str, *, seed: int) -> LeakageCheck:
    """Measure the leakage object under a protocol, uncorrected and with every correction.

    Args:
        protocol: a key of `PROTOCOLS`, of one echo.
        seed: of the settings; the object has no noise.

    Example:
        >>> check = check_leakage("no_preload_30", seed=1)
        >>> sorted(check.areas), check.agreement("uncorrected") < check.agreement("matched")
        (['bidirectional', 'bsw', 'matched', 'uncorrected'], True)
    """
    truth = build_leakage_object(PatientSettings(seed=seed, protocol=PROTOCOLS[protocol]))
    series = signal_to_delta_r2s(truth.signal, baseline=BASELINE)
    areas = {UNCORRECTED: integrate(series, truth.voxels, baseline=BASELINE).area}
    for name, model in LEAKAGE_MODELS.items():
        areas[name] = correct_leakage(
            series,
            truth.voxels,
            reference=truth.regions.mask("white"),
            baseline=BASELINE,
            model=model(),
        ).area
    return LeakageCheck(protocol=protocol, truth=truth, areas=areas)


def leakage_part(request: GateRequest) -> Part:
    """Measure gate 4: the simulator reproduces the failure, and every correction mends it."""
    checks = [check_leakage(name, seed=request.seed) for name in _SHOWN]
    consensus = [check for check in checks if check.protocol in CONSENSUS]
    return Part(
        title="Leakage",
        text=(
            "Every combination of blood volume, Ktrans, ve and T2* effect of leaked agent, without "
            "noise, beside leak-free tissue. Uncorrected nCBV has to be wrong, or the object would "
            "prove nothing; corrected, it has to be right, and leak-free voxels have to stay."
        ),
        gates=(_failure_gate(consensus[0]), *_mended_gates(consensus), *_tight_gates(consensus)),
        plots=(_plot(consensus[0]),),
        tables=(_table(checks),),
    )


def _failure_gate(check: LeakageCheck) -> Gate:
    return Gate(
        name="failure reproduced",
        what="concordance of uncorrected nCBV with the truth over leaking voxels",
        object=_object(check),
        method=UNCORRECTED,
        value=check.agreement(UNCORRECTED),
        high=0.7,
        strict=True,
        source=_SOURCE,
    )


def _mended_gates(checks: list[LeakageCheck]) -> list[Gate]:
    return [
        Gate(
            name="correction mends it",
            what="concordance of corrected nCBV with the truth over leaking voxels",
            object=_object(check),
            method=model,
            value=check.agreement(model),
            low=0.95,
            source=_SOURCE,
        )
        for check in checks
        for model in LEAKAGE_MODELS
    ]


def _tight_gates(checks: list[LeakageCheck]) -> list[Gate]:
    return [
        Gate(
            name="leak-free CBV stays",
            what="largest change by the correction in voxels that do not leak",
            object=_object(check),
            method=model,
            value=check.largest_change(model),
            unit="%",
            high=1.0,
            source=_SOURCE,
        )
        for check in checks
        for model in LEAKAGE_MODELS
    ]


def _object(check: LeakageCheck) -> str:
    return f"leakage object, {check.protocol}"


def _table(checks: list[LeakageCheck]) -> ErrorTable:
    rows = []
    for check in checks:
        leaky, tight = check.voxels("leaky"), check.voxels("tight")
        for method in check.areas:
            error = 100 * check.error(method)
            groups = (leaky, check.t1_dominant, check.t2s_dominant, tight)
            means = tuple(float(error[group].mean()) for group in groups)
            spread = float(np.abs(error[leaky]).mean())
            rows.append(ErrorRow(object=_object(check), method=method, errors=(spread, *means)))
    return ErrorTable(
        title="nCBV of the leakage object",
        text=(
            "Mean absolute error of leaking voxels, then mean errors: of all that leak, of those "
            "whose leaked agent acts mostly on T1, of those where it acts mostly on T2*, and of "
            "those that do not leak. no_preload_60 is no consensus protocol and no gate."
        ),
        absolute=("leaking, abs.",),
        columns=("leaking, abs.", "leaking", "T1-dominant", "T2*-dominant", "leak-free"),
        rows=tuple(rows),
    )


def _plot(check: LeakageCheck) -> Plot:
    return Plot(
        title=f"nCBV found against nCBV put in, {check.protocol}",
        text=(
            "Leaking voxels: median, and bars from the 5th to the 95th percentile over Ktrans, ve "
            "and the T2* effect of leaked agent."
        ),
        x_label="true nCBV",
        y_label="nCBV found",
        keys=("ncbv",),
        panels=tuple(
            Panel(title=method, perfect="diagonal", lines=(_line(check, method),))
            for method in check.areas
        ),
    )


def _line(check: LeakageCheck, method: str) -> Line:
    leaky = check.voxels("leaky")
    truth, found = check.truth.ncbv[leaky], check.ncbv(method)[leaky]
    levels = np.unique(truth)
    low, middle, high = (
        np.array([np.percentile(found[truth == level], share) for level in levels])
        for share in (5, 50, 95)
    )
    return Line(
        name=method,
        x=tuple(map(float, levels)),
        y=tuple(map(float, middle)),
        low=tuple(map(float, low)),
        high=tuple(map(float, high)),
    )
