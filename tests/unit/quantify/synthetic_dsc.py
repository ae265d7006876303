"""Small DSC series with a known bolus, for the tests of this folder."""

from dataclasses import dataclass

import numpy as np

from bolus.core import SIGNAL, Acquisition, Grid, Mask, PerfusionSeries, Provenance, TimeAxis

GREY, WHITE, FLUID, TUMOUR, ARTERY, VEIN = range(6)


@dataclass(frozen=True, kw_only=True)
class Patient:
    """What was put in."""

    series: PerfusionSeries
    brain: Mask
    tissue: np.ndarray
    arterial: np.ndarray
    arrival_s: float


def gamma_variate(seconds, *, start_s, rise_s=6.0, shape=3.0):
    """Unit peak at `start_s + rise_s`."""
    x = np.clip((seconds - start_s) / rise_s, 0, None)
    return x**shape * np.exp(shape * (1 - x))


def arterial_curve(seconds, *, start_s, rise_s=6.0, recirculation=0.15):
    first = gamma_variate(seconds, start_s=start_s, rise_s=rise_s)
    second = gamma_variate(seconds, start_s=start_s + 14, rise_s=2.2 * rise_s, shape=2.0)
    body = 0.06 / (1 + np.exp(-(seconds - start_s - 2 * rise_s) / rise_s))
    return first + recirculation * second + body


def patient(
    *,
    seed=0,
    step_s=1.5,
    frames=60,
    start_s=18.0,
    rise_s=6.0,
    recirculation=0.15,
    dose=1.0,
    noise=0.015,
    drift=0.0,
    approach=0.15,
    wander=0.0,
    t1_leak=0.0,
    t2s_leak=0.0,
    spikes=0,
    injections=(1.0,),
    second_after_s=45.0,
    edge=14,
    echo_time_s=0.03,
    gain=1.0,
) -> Patient:
    """A cube of brain: two thirds grey and white matter, fluid, tumour, arteries, veins."""
    rng = np.random.default_rng(seed)
    seconds = step_s * np.arange(frames)
    fine = np.arange(0, seconds[-1] + 0.2, 0.1)
    arterial = sum(
        size
        * arterial_curve(
            fine, start_s=start_s + k * second_after_s, rise_s=rise_s, recirculation=recirculation
        )
        for k, size in enumerate(injections)
    )
    shape = (edge, edge, 4)
    voxels = int(np.prod(shape))
    tissue = rng.choice(6, voxels, p=[0.42, 0.36, 0.1, 0.07, 0.025, 0.025])
    delay_s = np.select([tissue == WHITE, tissue == VEIN], [1.4, 0.0], 0.8) + rng.uniform(
        0, 0.6, voxels
    )
    delay_s[tissue == ARTERY] = rng.uniform(0, 0.3, np.count_nonzero(tissue == ARTERY))
    peak_rate = np.array([7.0, 3.5, 0.3, 9.0, 55.0, 60.0])[tissue] * dose
    peak_rate = peak_rate * rng.uniform(0.7, 1.2, voxels)
    transit_s = np.array([4.0, 5.5, 4.5, 6.0, 0.05, 4.2])
    rate = np.empty((voxels, frames))
    leaked = np.cumsum(arterial) * 0.1
    for kind, transit in enumerate(transit_s):
        residue = np.exp(-fine / transit)
        curve = np.convolve(arterial, residue)[: len(fine)] * 0.1
        if kind == ARTERY:
            curve = arterial
        curve = curve / curve.max()
        chosen = tissue == kind
        rate[chosen] = [
            height * np.interp(seconds - late, fine, curve)
            for height, late in zip(peak_rate[chosen], delay_s[chosen], strict=True)
        ]
    uptake = np.interp(seconds, fine, leaked / leaked.max())
    rate[tissue == TUMOUR] += t2s_leak * 4.0 * uptake
    base = np.array([900, 800, 1300, 1000, 850, 800])[tissue] * rng.uniform(0.85, 1.15, voxels)
    signal = base[:, None] * np.exp(-echo_time_s * rate)
    signal[tissue == TUMOUR] *= 1 + t1_leak * uptake
    signal *= 1 + drift * (seconds / seconds[-1])
    signal *= 1 + approach * np.exp(-seconds / 1.0)
    slow = np.sin(2 * np.pi * seconds / 23.0 + rng.uniform(0, 6)) + rng.normal(0, 0.5, frames)
    signal *= 1 + wander * slow
    for frame in rng.integers(0, frames, spikes):
        signal[:, frame] *= 1 + rng.normal(0, 0.06, voxels)
    sigma = noise * 900
    signal = np.hypot(
        signal + rng.normal(0, sigma, signal.shape), rng.normal(0, sigma, signal.shape)
    )
    return Patient(
        series=make_series(gain * signal.reshape(*shape, frames), seconds, echo_time_s),
        brain=make_mask(shape),
        tissue=tissue.reshape(shape),
        arterial=np.interp(seconds, fine, arterial),
        arrival_s=start_s,
    )


def make_series(values, seconds, echo_time_s=0.03) -> PerfusionSeries:
    return PerfusionSeries(
        values=np.asarray(values),
        quantity=SIGNAL,
        grid=Grid(shape=values.shape[:3], affine=np.diag([2.0, 2.0, 5.0, 1.0])),
        time=TimeAxis(seconds=np.asarray(seconds, float)),
        acquisition=Acquisition(echo_time_s=echo_time_s),
        provenance=Provenance(),
    )


def make_mask(shape, name="brain") -> Mask:
    return Mask(
        values=np.ones(shape, bool),
        grid=Grid(shape=tuple(shape), affine=np.diag([2.0, 2.0, 5.0, 1.0])),
        name=name,
    )


def single(curve, seconds) -> tuple[PerfusionSeries, Mask]:
    """One curve as a series of one voxel."""
    return make_series(np.asarray(curve, float)[None, None, None], seconds), make_mask((1, 1, 1))
