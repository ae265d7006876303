"""One patient of the arterial pairs: the plasma curve of the body, and what tissue does with it."""

from dataclasses import dataclass, replace

import numpy as np

from bolus.core.arrays import read_only
from bolus.core.randomness import stream
from bolus.quantify import concentration_curves
from bolus.quantify.spgr import SpoiledGradientEcho
from bolus.simulate.curves import PlasmaWashout, capillary_concentration
from bolus.simulate.dce import DceProtocol
from bolus.simulate.patient import PatientSettings, injected_bolus
from bolus.simulate.phantom import TissueVoxels
from bolus.simulate.physics import QUADRATIC_BLOOD, Relaxivities, longitudinal_rate, relaxivities_at
from bolus.simulate.profile import draw_profile
from bolus.simulate.scanner import STEP_S, Injection, concentrations_at, native_at
from bolus.simulate.spgr import spgr_signal
from bolus.simulate.tissues import TISSUES

TRUTH_S = 420.0
"""The true curve is known for this long from the arrival on, also after a shorter scan."""
_WASHOUT_SPREAD, _RATE_SPREAD, _BLOOD_SPREAD = 0.15, 0.2, 0.15
_QUADRATIC = 0.5
"""Share of the patients whose blood has the quadratic law of R2*: which is right is not settled."""
_NORMAL = 12
_SPREAD = 0.3
_TUMOUR = ("hypovascular", "hypervascular")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TissueCurves:
    """Concentration [mM] of tumour (n, t) and the median of normal brain (t,); Ktrans [1/min]."""

    tumour: np.ndarray
    normal: np.ndarray
    ktrans_per_min: np.ndarray


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class AifPatient:
    """Body, injection and protocol of one exam."""

    settings: PatientSettings
    protocol: DceProtocol
    injection: Injection
    relaxivities: Relaxivities

    @property
    def baseline_frames(self) -> int:
        """Frames that end before the agent arrives, at least two."""
        before = int(self.injection.bolus.arrival_s // self.protocol.frame_s)
        return max(2, before)

    def white_level(self) -> float:
        """Return the baseline signal of white matter, which SNR refers to."""
        native = native_at(TISSUES["wm"].native, self.protocol.field_strength_t)
        rate = np.array([1 / native.t1_s])
        degrees = self.protocol.flip_angle_deg
        return float(self._signal("wm", rate, np.array(degrees))[0])

    def grey_signal(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the series (t,) and the flip-angle images (angles,) of grey matter."""
        model, seconds = self.settings.tissues["gm"], self.protocol.time.seconds
        held = capillary_concentration(
            self.injection.first_pass, step_s=STEP_S, mtt_s=np.array([model.mtt_s]),
            family=self.settings.residue, shape=self.settings.residue_shape,
        )[0]  # fmt: skip
        fine_s = STEP_S * np.arange(len(held))
        vp = model.cbv / 100 * (1 - self.settings.physiology.haematocrit_small)
        native = 1 / native_at(model.native, self.protocol.field_strength_t).t1_s
        arrived = np.interp(seconds - model.delay_s, fine_s, held)
        angles = np.array(self.protocol.vfa_deg)
        series = self._signal(
            "gm",
            native + self.relaxivities.r1 * vp * arrived,
            np.array(self.protocol.flip_angle_deg),
        )
        return series, self._signal("gm", np.full(len(angles), native), angles)

    def tissue_curves(self, voxels: int, *, sigma: float) -> TissueCurves:
        """Return noisy curves of living tumour and of normal brain; R10 and B1 are known in them.

        Args:
            voxels: of tumour; 0 gives empty curves.
            sigma: of the noise.
        """
        frames = self.protocol.frames
        if not voxels:
            nothing = read_only(np.zeros((0, frames)))
            return TissueCurves(
                tumour=nothing,
                normal=read_only(np.zeros(frames)),
                ktrans_per_min=read_only(np.zeros(0)),
            )
        random = stream(self.settings.seed, "aif pairs", "tissue")
        curves, truth = [], []
        for name, count in zip(_TUMOUR, (voxels - voxels // 2, voxels // 2), strict=True):
            own = self._voxels(name, count)
            curves.append(self._measured(name, own, sigma=sigma, random=random))
            truth.append(own.ktrans_per_min)
        normal = [
            self._measured(name, self._voxels(name, _NORMAL), sigma=sigma, random=random)
            for name in ("gm", "wm")
        ]
        return TissueCurves(
            tumour=read_only(np.concatenate(curves)),
            normal=read_only(np.median(np.concatenate(normal), axis=0)),
            ktrans_per_min=read_only(np.concatenate(truth)),
        )

    def _voxels(self, name: str, count: int) -> TissueVoxels:
        """Draw voxels of one tissue around what it is in this patient."""
        model = self.settings.tissues[name]
        random = stream(self.settings.seed, "aif pairs", "voxels", name)

        def around(mean: float) -> np.ndarray:
            return mean * np.exp(_SPREAD * random.standard_normal(count))

        return TissueVoxels(
            voxels=np.arange(count),
            share=np.ones(count),
            cbv=around(model.cbv),
            mtt_s=around(model.mtt_s),
            delay_s=np.full(count, model.delay_s),
            ktrans_per_min=around(model.ktrans_per_min),
            ve=np.minimum(around(model.ve), 70.0),
        )

    def _rates(self, name: str, own: TissueVoxels) -> np.ndarray:
        """Return R1 [1/s] (n, 1 + t), the first before the agent."""
        settings = self.settings
        native = native_at(settings.tissues[name].native, self.protocol.field_strength_t)
        plasma, leaked = concentrations_at(
            own, self.injection, frames_s=self.protocol.time.seconds, residue=settings.residue,
            residue_shape=settings.residue_shape, leakage=True,
        )  # fmt: skip
        before = np.full(len(own.cbv), 1 / native.t1_s)
        rates = longitudinal_rate(
            plasma, leaked, r10_per_s=before, ve=own.ve / 100,
            vp=own.cbv / 100 * (1 - settings.physiology.haematocrit_small),
            r1_per_mmolar_s=self.relaxivities.r1,
        )  # fmt: skip
        return np.concatenate([before[:, None], rates], axis=1)

    def _signal(self, name: str, rates: np.ndarray, degrees: np.ndarray) -> np.ndarray:
        native = native_at(self.settings.tissues[name].native, self.protocol.field_strength_t)
        return spgr_signal(
            rates, 1 / native.t2s_s, proton_density=native.proton_density,
            repetition_time_s=self.protocol.repetition_time_s,
            echo_time_s=self.protocol.echo_time_s, flip_angle_deg=degrees,
        )  # fmt: skip

    def _measured(
        self, name: str, own: TissueVoxels, *, sigma: float, random: np.random.Generator
    ) -> np.ndarray:
        """Return concentration [mM] (n, t) from the noisy signal."""
        rates = self._rates(name, own)
        clean = self._signal(name, rates[:, 1:], np.array(self.protocol.flip_angle_deg))
        return concentration_curves(
            np.abs(clean + sigma * random.standard_normal(clean.shape)),
            r10_per_s=rates[:, 0],
            sequence=SpoiledGradientEcho(
                repetition_time_s=self.protocol.repetition_time_s,
                flip_angle_deg=self.protocol.flip_angle_deg,
            ),
            r1_per_mmolar_s=self.relaxivities.r1,
            baseline=slice(0, self.baseline_frames),
        ).values


def draw_patient(
    seed: int, number: int, *, protocol: DceProtocol, family: str, residue: str
) -> AifPatient:
    """Draw one patient and inject.

    Beyond `profile`, washout differs between patients: amplitudes together by 15 %, each rate by
    20 % (standard deviations of the logarithm; set by us), or the height of the late curve would
    be known beforehand. Half of the patients have blood with a quadratic R2*.

    Args:
        seed: of the cohort.
        number: of the patient, from 0.
        protocol: of the scan.
        family: of the first pass, a key of `FIRST_PASSES`.
        residue: of the tissue, a key of `RESIDUES`.

    Source:
        `profile`, `curves.PlasmaWashout`, `physics.QUADRATIC_BLOOD`.
    """
    profile = draw_profile(seed, number)
    settings = PatientSettings(
        seed=profile.seed,
        physiology=replace(profile.physiology, family=family),
        tissues=profile.tissues,
        residue=residue,
    )
    random = stream(profile.seed, "aif pairs", "body")
    usual = PlasmaWashout()
    height = float(np.exp(_WASHOUT_SPREAD * random.standard_normal()))
    fall = np.exp(_RATE_SPREAD * random.standard_normal(3))
    washout = PlasmaWashout(
        amplitudes_kg_per_l=_three(height * np.array(usual.amplitudes_kg_per_l)),
        rates_per_min=_three(fall * np.array(usual.rates_per_min)),
    )
    bolus = replace(
        injected_bolus(settings),
        dose_mmol_per_kg=protocol.dose_mmol_per_kg,
        arrival_s=protocol.injection_start_s + settings.physiology.transit_s,
        washout=washout,
    )
    fine_s = np.arange(0.0, max(bolus.arrival_s + TRUTH_S, protocol.time.seconds[-1] + 2), STEP_S)
    first = capillary_concentration(
        bolus(fine_s), step_s=STEP_S, mtt_s=np.array([protocol.injection_s]), family="boxcar"
    )[0]
    injection = Injection(
        bolus=bolus,
        first_pass=np.where(fine_s > bolus.arrival_s, np.maximum(first, 0.0), 0.0),
        residual=np.zeros_like(fine_s),
        preload_mmol_per_kg=0.0,
        preload_s=0.0,
    )
    relaxivities = _relaxivities(protocol.field_strength_t, random)
    return AifPatient(
        settings=settings, protocol=protocol, injection=injection, relaxivities=relaxivities
    )


def _relaxivities(field_strength_t: float, random: np.random.Generator) -> Relaxivities:
    usual = relaxivities_at(field_strength_t)
    scale = float(np.exp(_BLOOD_SPREAD * random.standard_normal()))
    linear, quadratic = usual.blood_linear, usual.blood_quadratic
    if random.random() < _QUADRATIC:
        linear, quadratic = QUADRATIC_BLOOD[field_strength_t]
    return replace(usual, blood_linear=scale * linear, blood_quadratic=scale * quadratic)


def _three(values: np.ndarray) -> tuple[float, float, float]:
    first, second, third = (float(v) for v in values)
    return first, second, third
