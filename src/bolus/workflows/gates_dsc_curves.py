"""Flow and volume on simulated curves of known answer, by every method."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from bolus.core import stream
from bolus.quantify import DECONVOLVERS, Deconvolver, VascularModel
from bolus.quantify.deconvolution import flow
from bolus.report.certificate_findings import ErrorRow, ErrorTable, Line, Panel, Part, Plot
from bolus.simulate import PROTOCOLS, RESIDUES, PatientSettings, capillary_concentration, shifted
from bolus.simulate.patient import injected_bolus
from bolus.simulate.scanner import STEP_S
from bolus.workflows.gates_request import GateRequest

METHODS: Mapping[str, Deconvolver | VascularModel] = MappingProxyType(
    {**{name: kind() for name, kind in DECONVOLVERS.items()}, "vascular": VascularModel()}
)
"""Every way to blood flow with its own settings, by the names of `dsc.flow_method`."""

DELAYS_S = (0.0, 1.0, 2.0, 3.0, 4.0)
_CASES = ((60.0, 3.0), (60.0, 4.0), (60.0, 6.0), (25.0, 5.0), (25.0, 8.0))
"""Flow [mL/100mL/min] and mean transit time [s] of grey and white matter, set by us."""
_RESIDUE_SHAPE = 3.0
_SNR = 100.0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CurveObject:
    """Tissue curves (n, t) and one arterial curve (t,) in one unit, with the truth of each.

    `cbf` is in mL/min/100mL and `cbv` in mL/100mL, (n,) each.
    """

    name: str
    tissue: np.ndarray
    aif: np.ndarray
    step_s: float
    cbf: np.ndarray
    cbv: np.ndarray


def measure_curves(
    curves: CurveObject, method: Deconvolver | VascularModel
) -> tuple[np.ndarray, np.ndarray]:
    """Return CBF [mL/min/100mL] and CBV [mL/100mL] of every curve, (n,) each; NaN for no answer.

    CBV is that of the fit for the vascular model, and the ratio of areas for all others.
    """
    from threadpoolctl import threadpool_limits

    if isinstance(method, VascularModel):
        seconds = curves.step_s * np.arange(len(curves.aif))
        fit = method(curves.tissue, curves.aif, seconds=seconds)
        return 6000 * fit.flow_per_s, 100 * fit.volume
    with threadpool_limits(1):  # these matrices are too small to share
        value, _, _, _ = flow(curves.tissue, curves.aif, step_s=curves.step_s, method=method)
    return 6000 * value, ratio_of_areas(curves)


def ratio_of_areas(curves: CurveObject) -> np.ndarray:
    """Return CBV [mL/100mL] as area of tissue over area of artery: that of the CBV map."""
    return np.asarray(100 * np.trapezoid(curves.tissue, axis=1) / np.trapezoid(curves.aif))


def errors_percent(found: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Return the error of every answer [%]; curves without an answer are left out."""
    error = 100 * (found / truth - 1)
    return np.asarray(error[np.isfinite(error)])


def simulated_curves(
    *, family: str, delay_s: float, snr: float, copies: int, seed: int
) -> CurveObject:
    """Return the simulator's curves of grey and white matter, free of leakage and recorded noise.

    Residues are convolved on the simulator's fine grid and sampled at the frames of the protocol
    "preload_60"; the arterial curve is the plasma of the default body and has no noise.

    Args:
        family: a key of `RESIDUES`.
        delay_s: tissue behind artery [s].
        snr: peak of each curve over the standard deviation of its noise; infinity for none.
        copies: noise realisations of each case.
        seed: of the noise.

    Example:
        >>> curves = simulated_curves(family="gamma", delay_s=1.0, snr=100.0, copies=2, seed=1)
        >>> curves.tissue.shape == (10, len(curves.aif)), curves.cbv[:2].round(1).tolist()
        (True, [3.0, 3.0])
    """
    protocol = PROTOCOLS["preload_60"]
    step_s, frames = protocol.repetition_time_s, protocol.frames
    fine_s = STEP_S * np.arange(round(step_s * frames / STEP_S))
    every = round(step_s / STEP_S)
    arterial = injected_bolus(PatientSettings(seed=seed, protocol=protocol))(fine_s)
    cbf, mtt_s = (np.array(column) for column in zip(*_CASES, strict=True))
    cbv = cbf * mtt_s / 60
    within = capillary_concentration(
        shifted(arterial, step_s=STEP_S, delay_s=delay_s),
        step_s=STEP_S,
        mtt_s=mtt_s,
        family=family,
        shape=_RESIDUE_SHAPE,
    )
    clean = np.repeat((cbv[:, None] / 100 * within)[:, ::every], copies, axis=0)
    random = stream(seed, "certify", "curves", family, f"{delay_s:g}")
    noise = random.standard_normal(clean.shape) * clean.max(axis=1, keepdims=True) / snr
    return CurveObject(
        name=family,
        tissue=clean + noise,
        aif=arterial[::every],
        step_s=step_s,
        cbf=np.repeat(cbf, copies),
        cbv=np.repeat(cbv, copies),
    )


def residue_part(request: GateRequest) -> Part:
    """Tabulate, for every method, residue family and delay, how far flow is off.

    No gate: truncated deconvolution underestimates flow, and the table shows by how much.
    """
    clean = _residue_table(request, snr=np.inf, copies=1)
    noisy = _residue_table(request, snr=_SNR, copies=request.profile.noisy_copies)
    return Part(
        title="Flow by residue and delay",
        text=(
            "Simulated curves of grey and white matter (CBF 60 and 25 mL/min/100mL, MTT 3 to 8 s), "
            "three families of residue, tissue 0 to 4 s behind the artery. These are no gates: "
            "truncated deconvolution (SVD) smooths the residue, so that it finds too little flow "
            "where a residue falls steeply at once, and overshoots where it stays up and then "
            "drops; sSVD depends on delay besides."
        ),
        plots=(_residue_plot(clean),),
        tables=(clean, noisy),
    )


def _residue_table(request: GateRequest, *, snr: float, copies: int) -> ErrorTable:
    cases = [
        simulated_curves(family=family, delay_s=delay_s, snr=snr, copies=copies, seed=request.seed)
        for family in RESIDUES
        for delay_s in DELAYS_S
    ]
    together = dataclasses.replace(  # one artery: each method prepares for it once
        cases[0],
        tissue=np.concatenate([case.tissue for case in cases]),
        cbf=np.concatenate([case.cbf for case in cases]),
        cbv=np.concatenate([case.cbv for case in cases]),
    )
    rows: dict[tuple[str, str], tuple[float, ...]] = {}
    for name, method in METHODS.items():
        error = 100 * (measure_curves(together, method)[0] / together.cbf - 1)
        for family, part in zip(RESIDUES, np.split(error, len(RESIDUES)), strict=True):
            rows[family, name] = tuple(map(_mean, np.split(part, len(DELAYS_S))))
    how = f"SNR {snr:g}" if np.isfinite(snr) else "no noise"
    return ErrorTable(
        title=f"CBF, {how}",
        text=f"Mean error over five tissues{f', {copies} noise realisations each' * (copies > 1)}.",
        columns=tuple(f"delay {delay_s:g} s" for delay_s in DELAYS_S),
        rows=tuple(
            ErrorRow(object=f"{family} residue", method=name, errors=rows[family, name])
            for family in RESIDUES
            for name in METHODS
        ),
    )


def _mean(errors: np.ndarray) -> float:
    found = errors[np.isfinite(errors)]
    return float(found.mean()) if found.size else float("nan")


def _residue_plot(table: ErrorTable) -> Plot:
    objects = dict.fromkeys(row.object for row in table.rows)
    return Plot(
        title="Error of flow without noise",
        text="Mean error of CBF over five tissues, by delay of the tissue behind the artery.",
        x_label="delay [s]",
        y_label="CBF error [%]",
        keys=("cbf",),
        panels=tuple(
            Panel(
                title=name,
                perfect="zero",
                lines=tuple(
                    Line(name=row.method, x=DELAYS_S, y=row.errors)
                    for row in table.rows
                    if row.object == name
                ),
            )
            for name in objects
        ),
    )
