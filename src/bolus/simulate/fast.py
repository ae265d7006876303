"""Training data without images: labelled curves by the million, and maps without a series.

The physics is that of `scanner` (a test holds the two together); what is left out is space: no
motion, drift or signal loss, and no neighbours but one that shares the voxel.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy import fft

from bolus.core.arrays import read_only
from bolus.core.randomness import stream
from bolus.errors import Code, MetadataError
from bolus.simulate.curves import RESIDUES
from bolus.simulate.fast_kernels import add_rician, add_signals
from bolus.simulate.fast_mixture import TRANSIT_S, CurveMixture, Parts, draw_parts, take, together
from bolus.simulate.patient import (
    Disturbances,
    PatientSettings,
    Physiology,
    forward_model,
    injected_bolus,
)
from bolus.simulate.protocol import DscProtocol
from bolus.simulate.scanner import (
    STEP_S,
    ForwardModel,
    Injection,
    inject,
    leaked_before,
    native_at,
    vessel_signal,
)
from bolus.simulate.tissues import (
    HABITAT_LABELS,
    HABITAT_OF,
    TISSUE_LABELS,
    TISSUES,
)
from bolus.simulate.vessel_size import vessel_size_factor

_ROWS = 144
"""Transit times of the table, evenly spaced in their logarithm: 2.6 % apart."""
_BASELINE_FRAME = 5
_WHITE = "wm"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LabelledCurves:
    """Signal-time curves of single voxels and what each of them is.

    `signal` (n, t) float32 [a.u.] of the first echo at `time_s` (t,). `tissue` (n,) in the numbers
    of `TISSUE_LABELS`, the larger part of the voxel; `habitat` in those of `HABITAT_LABELS`, 0 for
    none; `share` (n,) of the larger part. `patient` (n,) tells whose curve it is: curves of one
    patient have one bolus, one scanner and one noise, so that subjects must be kept apart.
    `parameters` are the voxel's truth, both parts together: cbv [mL/100mL], mtt_s, delay_s,
    ktrans_per_min, ve [mL/100mL]; NaN where a large vessel is.
    """

    signal: np.ndarray
    time_s: np.ndarray
    tissue: np.ndarray
    habitat: np.ndarray
    share: np.ndarray
    patient: np.ndarray
    parameters: Mapping[str, np.ndarray]


def simulate_curves(
    count: int,
    *,
    seed: int,
    protocol: DscProtocol,
    patients: int = 100,
    mixture: CurveMixture | None = None,
) -> LabelledCurves:
    """Return labelled curves of many patients who never had a head.

    The first curves are the same whatever the count. Cost: docs/reference/benchmarks.md.

    Args:
        count: curves.
        seed: decides everything.
        protocol: the acquisition; dual-echo protocols give their first echo.
        patients: how many bodies and scanners the curves come from.
        mixture: which curves; None is `CurveMixture()`.

    Source:
        docs/explanation/simulator.md; the distributions of bodies and signal-to-noise are ours.

    Example:
        >>> from bolus.simulate import PROTOCOLS
        >>> from bolus.simulate.fast import simulate_curves
        >>> curves = simulate_curves(50, seed=1, protocol=PROTOCOLS["preload_60"], patients=2)
        >>> curves.signal.shape, curves.signal.dtype.name
        ((50, 60), 'float32')
    """
    return curves_of(
        draw_patients(patients, seed=seed, protocol=protocol), count, seed=seed, mixture=mixture
    )


def draw_patients(number: int, *, seed: int, protocol: DscProtocol) -> tuple[PatientSettings, ...]:
    """Draw bodies and scanner noise: who the curves of `simulate_curves` come from.

    Weight 50 to 110 kg, cardiac output 4.8 to 8 L/min, haematocrit 0.36 to 0.50 (small vessels
    0.20 to 0.32), transit 7 to 16 s, width 3.5 to 8 s, recirculated share 0.12 to 0.22,
    dispersion 0 to 1.5 s, white matter's signal-to-noise ratio 25 to 150 (log-uniform): all
    uniform, set by us.

    Example:
        >>> from bolus.simulate import PROTOCOLS
        >>> from bolus.simulate.fast import draw_patients
        >>> first, second = draw_patients(2, seed=1, protocol=PROTOCOLS["preload_60"])
        >>> first.physiology == second.physiology
        False
    """
    low = np.array([50.0, 4.8, 0.36, 0.20, 7.0, 3.5, 0.12, 0.0, np.log(25.0)])
    high = np.array([110.0, 8.0, 0.50, 0.32, 16.0, 8.0, 0.22, 1.5, np.log(150.0)])
    drawn = low + (high - low) * stream(seed, "curves", "bodies").random((number, 9))
    seeds = stream(seed, "curves", "patients").integers(2**31, size=number)
    return tuple(
        PatientSettings(
            seed=int(seeds[n]),
            protocol=protocol,
            physiology=Physiology(
                weight_kg=float(row[0]),
                cardiac_output_l_per_min=float(row[1]),
                haematocrit_large=float(row[2]),
                haematocrit_small=float(row[3]),
                transit_s=float(row[4]),
                width_s=float(row[5]),
                recirculation=float(row[6]),
                dispersion_s=float(row[7]),
            ),
            disturbances=Disturbances(snr=float(np.exp(row[8]))),
        )
        for n, row in enumerate(drawn)
    )


def curves_of(
    patients: Sequence[PatientSettings],
    count: int,
    *,
    seed: int,
    mixture: CurveMixture | None = None,
) -> LabelledCurves:
    """Return labelled curves of given patients: their bodies, tissues, protocol and noise.

    Args:
        patients: each curve comes from one of them, all equally likely; of their settings head,
            pose, motion, drift and gain are not used. Frames and intervals must be the same.
        count: curves.
        seed: decides tissues, values and noise.
        mixture: which curves; None is `CurveMixture()`.

    Raises:
        MetadataError: no patients, or protocols whose frames differ.

    Example:
        >>> from bolus.simulate import PatientSettings
        >>> from bolus.simulate.fast import curves_of
        >>> curves = curves_of([PatientSettings(seed=1)], 20, seed=1)
        >>> bool((curves.patient == 0).all())
        True
    """
    chosen = mixture or CurveMixture()
    clocks = {(p.protocol.frames, p.protocol.repetition_time_s) for p in patients}
    if len(clocks) != 1:
        raise MetadataError(
            Code.ARGUMENT_INVALID,
            f"{len(patients)} patients have {len(clocks)} combinations of frames and interval",
            mend="simulate protocols of different length in separate calls",
        )
    frames, interval_s = next(iter(clocks))
    whose = stream(seed, "curves", "whose").integers(len(patients), size=count)
    main, second = draw_parts(patients, whose, seed=seed, mixture=chosen)
    signal = np.zeros((count, frames), np.float32)
    sigma = np.zeros(count)
    low, high = np.log(chosen.gain)
    gains = np.exp(stream(seed, "curves", "gain").uniform(low, high, len(patients)))
    order = np.argsort(whose, kind="stable")
    bounds = np.searchsorted(whose[order], np.arange(len(patients) + 1))
    for n, settings in enumerate(patients):
        mine = order[bounds[n] : bounds[n + 1]]
        if not len(mine):
            continue
        clean, white = patient_signal(settings, [take(p, mine) for p in (main, second)])
        signal[mine] = gains[n] * clean
        sigma[mine] = gains[n] * white / settings.disturbances.snr
    add_rician(signal, sigma, 0, int(stream(seed, "curves", "noise").integers(2**62)))
    return LabelledCurves(
        signal=read_only(signal),
        time_s=read_only(interval_s * np.arange(frames)),
        tissue=read_only((main.tissue + 1).astype(np.uint8)),
        habitat=read_only(_HABITAT_NUMBERS[main.tissue]),
        share=read_only(main.share),
        patient=read_only(whose.astype(np.int32)),
        parameters=together(main, second),
    )


_HABITAT_NUMBERS = np.array(
    [
        {name: n for n, name in HABITAT_LABELS.items()}.get(HABITAT_OF.get(name, ""), 0)
        for name in TISSUE_LABELS.values()
    ],
    np.uint8,
)


def patient_signal(settings: PatientSettings, parts: Sequence[Parts]) -> tuple[np.ndarray, float]:
    """Return clean curves (n, frames) float32 of one patient, and white matter's baseline.

    Args:
        settings: body, tissues and protocol; head, noise and motion do not act.
        parts: what the voxels hold, one tissue of all n voxels in each; shares sum to 1.
    """
    protocol = settings.protocol
    injection, model = inject(injected_bolus(settings), protocol), forward_model(settings)
    transit_s = np.concatenate([part.mtt_s for part in parts] + [[settings.tissues[_WHITE].mtt_s]])
    plasma, area, first_row = _tables(injection, model, transit_s=transit_s)
    clock = np.array([STEP_S, protocol.repetition_time_s])
    physics = _physics(model)
    white = list(TISSUES).index(_WHITE)
    typical = settings.tissues[_WHITE]
    probe = Parts(
        tissue=np.array([white]), share=np.ones(1), cbv=np.array([typical.cbv]),
        mtt_s=np.array([typical.mtt_s]), delay_s=np.array([typical.delay_s]),
        ktrans_per_min=np.zeros(1), ve=np.zeros(1),
    )  # fmt: skip
    totals = []
    for group in (parts, [probe]):
        total = np.zeros((len(group[0].share), protocol.frames), np.float32)
        for part in group:
            rows = np.flatnonzero((part.share > 0) & (part.tissue < len(TISSUES)))
            voxels = _voxels(take(part, rows), settings, injection, model)
            voxels[:, 0] -= first_row
            add_signals(total, plasma, area, rows, voxels, clock, physics, protocol.dummies)
            for number, venous in ((len(TISSUES), False), (len(TISSUES) + 1, True)):
                held = np.flatnonzero((part.share > 0) & (part.tissue == number))
                if len(held):
                    blood = vessel_signal(
                        injection, model, delay_s=part.delay_s[held], venous=venous
                    )
                    total[held] += part.share[held, None] * blood[0]
        totals.append(total)
    baseline = min(_BASELINE_FRAME, protocol.frames - 1)
    return totals[0], float(totals[1][0, baseline])


def _physics(model: ForwardModel) -> np.ndarray:
    angle = np.radians(model.protocol.flip_angle_deg)
    rates = model.relaxivities
    return np.array(
        [
            np.cos(angle), np.sin(angle), model.protocol.echo_times_s[0], rates.r1,
            rates.native_mmolar, model.vascular_t1_share,
            float(model.t1_effect), float(model.t2s_effect),
        ]
    )  # fmt: skip


def _voxels(
    parts: Parts, settings: PatientSettings, injection: Injection, model: ForwardModel
) -> np.ndarray:
    """Return the rows of values that `add_signals` reads."""
    field_t = settings.protocol.field_strength_t
    by_tissue = np.array(
        [
            (
                1 / native.t1_s,
                native.proton_density,
                1 / native.t2s_s,
                tissue.r2s_extravascular * model.relaxivities.extravascular_scale,
                model.relaxivities.r2s_vascular
                * vessel_size_factor(tissue.vessel_radius_um, field_strength_t=field_t),
            )
            for tissue in (settings.tissues[name] for name in TISSUES)
            for native in (native_at(tissue.native, field_t),)
        ]
    )
    rate, density, transverse, cells, vascular = by_tissue[parts.tissue].T
    ktrans_per_s = parts.ktrans_per_min / 60 * model.leakage
    ve = parts.ve / 100
    return np.column_stack(
        [
            _row(parts.mtt_s),
            parts.delay_s / STEP_S,
            np.where(ve > 0, ktrans_per_s / np.where(ve > 0, ve, 1.0), 0.0),
            leaked_before(injection, ktrans_per_s=ktrans_per_s, ve=ve),
            parts.cbv / 100 * (1 - model.haematocrit_small),
            ve,
            rate,
            density,
            parts.share,
            cells,
            transverse,
            vascular,
        ]
    )


def _tables(
    injection: Injection, model: ForwardModel, *, transit_s: np.ndarray
) -> tuple[np.ndarray, np.ndarray, int]:
    """Return C_p of transit times on the fine grid, its running integral, and the first row.

    The same sum as `capillary_concentration`, float32, for the rows that `transit_s` needs; the
    residues' spectra are kept between patients.
    """
    places = _row(np.array([transit_s.min(), transit_s.max()]))
    low = min(int(places[0]), _ROWS - 2)
    high = min(int(places[1]) + 2, _ROWS)
    arterial = injection.first_pass.astype(np.float32)
    arterial[1:] = 0.5 * (arterial[1:] + arterial[:-1])
    spectra, size = _spectra(model.residue, model.residue_shape, len(arterial))
    plasma = fft.irfft(spectra[low:high] * fft.rfft(arterial, size), size, axis=1)
    plasma = plasma[:, : len(arterial)] + injection.residual.astype(np.float32)
    area = np.zeros(plasma.shape)
    np.cumsum(0.5 * STEP_S * (plasma[:, 1:] + plasma[:, :-1]), axis=1, out=area[:, 1:])
    return np.ascontiguousarray(plasma), area.astype(np.float32), low


def _row(transit_s: np.ndarray) -> np.ndarray:
    """Return the row of the table, with its fraction, of transit times."""
    low, high = np.log(TRANSIT_S)
    return np.asarray((np.log(transit_s) - low) / (high - low) * (_ROWS - 1))


@lru_cache(maxsize=4)
def _spectra(family: str, shape: float, length: int) -> tuple[np.ndarray, int]:
    """Return the Fourier transforms of the cell-integrated residues, (rows, frequencies)."""
    transit = np.geomspace(*TRANSIT_S, _ROWS)[:, None]
    edges = STEP_S * np.arange(length + 1)[None, :]
    weights = np.diff(RESIDUES[family](edges, mtt_s=transit, shape=shape), axis=1) / transit
    size = fft.next_fast_len(2 * length, real=True)
    return read_only(fft.rfft(weights, size, axis=1).astype(np.complex64)), size
