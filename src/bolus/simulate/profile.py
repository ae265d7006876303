"""Who one simulated patient is: clinic, genotype, glioma, tissues and body."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from bolus.core.randomness import stream
from bolus.simulate.effects import PATIENT, REFERENCE, combined, effect
from bolus.simulate.genotype import Genotype, draw_genotype
from bolus.simulate.growth import INFILTRATION_MOST_MM, Glioma
from bolus.simulate.patient import Physiology
from bolus.simulate.physics import NativeTissue
from bolus.simulate.tissues import TISSUES, TissueModel

CELLULAR = ("hypovascular", "hypervascular")
"""Tissues of living tumour: the genotype acts on their vessels and cells."""
LEAKY = (*CELLULAR, "nonviable", "necrosis", "radiation")
_VESSELS_OF_TUMOUR = ("hypovascular", "hypervascular", "nonviable", "radiation")
_BODY = Physiology()
"""The body that the simulator was matched to patients with; others scatter around it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PatientProfile:
    """Everything that stays with a patient; a visit changes the glioma and its tissues only.

    `seed` decides the head, and where the glioma grows. `age_years` and `kps` (Karnofsky, 50 to
    100) are at the first scan, `sex` is "male" or "female", `extent` of resection "gross total",
    "subtotal" or "biopsy". `glioma` and `tissues` are those before any treatment.
    `t2_flair_mismatch` marks an astrocytoma that is bright on T2 and dark on FLAIR.
    """

    subject: str
    seed: int
    age_years: int
    sex: str
    kps: int
    extent: str
    genotype: Genotype
    t2_flair_mismatch: bool
    glioma: Glioma
    tissues: Mapping[str, TissueModel]
    physiology: Physiology


def draw_profile(seed: int, number: int) -> PatientProfile:
    """Draw one patient of a cohort; another patient's draw changes nothing in it.

    Genotype first; age, sex, KPS and extent of resection given IDH; then what the glioma is made
    of and how its tissues are perfused given genotype and grade, with log-normal (shares:
    logit-normal) differences between patients.

    Args:
        seed: of the cohort.
        number: of the patient, from 0; the subject is its four digits.

    Returns:
        The patient before treatment.

    Source:
        `effects.EFFECTS`, every number with its source; docs/explanation/patients.md.

    Example:
        >>> patient = draw_profile(1, 7)
        >>> patient.subject, patient == draw_profile(1, 7)
        ('0007', True)
    """
    own = int(stream(seed, "profile", str(number)).integers(2**31))
    genotype = draw_genotype(own)
    age_years, sex, kps, extent = _clinic(own, genotype)
    likely = _mismatch_probability(genotype)
    mismatch = bool(stream(own, "profile", "mismatch").random() < likely)
    return PatientProfile(
        subject=f"{number:04d}",
        seed=own,
        age_years=age_years,
        sex=sex,
        kps=kps,
        extent=extent,
        genotype=genotype,
        t2_flair_mismatch=mismatch,
        glioma=_glioma(own, genotype),
        tissues=_tissues(own, genotype, mismatch=mismatch),
        physiology=_physiology(own, age_years=age_years, sex=sex),
    )


def mean_tumour_cbv(glioma: Glioma, tissues: Mapping[str, TissueModel]) -> float:
    """Return the mean CBV [mL/100mL] of the mass without its necrosis.

    CBV = Σ sᵢ CBVᵢ / Σ sᵢ over hypovascular, hypervascular, nonviable and radiated tissue with
    shares sᵢ of the mass; of the truth, without partial volume or noise.

    Args:
        glioma: shares.
        tissues: models by name.

    Source:
        Necrosis is left out as readers do; set by us.

    Example:
        >>> patient = draw_profile(1, 7)
        >>> 1.0 < mean_tumour_cbv(patient.glioma, patient.tissues) < 12.0
        True
    """
    shares = {
        "hypervascular": glioma.hypervascular,
        "nonviable": glioma.nonviable,
        "radiation": glioma.radiation,
    }
    shares["hypovascular"] = max(0.0, 1 - glioma.necrosis - sum(shares.values()))
    held = sum(shares.values())
    return sum(shares[name] * tissues[name].cbv for name in _VESSELS_OF_TUMOUR) / max(held, 1e-9)


def scaled_tissue(
    model: TissueModel,
    *,
    cbv: float = 1.0,
    mtt: float = 1.0,
    ktrans: float = 1.0,
    ve: float = 1.0,
    adc: float = 1.0,
    vessel_radius: float = 1.0,
) -> TissueModel:
    """Return a tissue with its parameters multiplied by factors.

    Args:
        model: the tissue.
        cbv: factor on blood volume.
        mtt: factor on mean transit time.
        ktrans: factor on leakage.
        ve: factor on the extravascular space, which stays below 70 mL/100mL.
        adc: factor on diffusion, which stays below that of fluid.
        vessel_radius: factor on the mean radius of small vessels.

    Source:
        The two limits are set by us.

    Example:
        >>> round(scaled_tissue(TISSUES["gm"], cbv=2.0).cbv, 3)
        10.6
    """
    return dataclasses.replace(
        model,
        cbv=model.cbv * cbv,
        mtt_s=model.mtt_s * mtt,
        ktrans_per_min=model.ktrans_per_min * ktrans,
        ve=min(model.ve * ve, 70.0),
        adc_mm2_per_s=min(model.adc_mm2_per_s * adc, 3.0e-3),
        vessel_radius_um=model.vessel_radius_um * vessel_radius,
    )


def _within(value: float, cause: str, on: str) -> float:
    """Keep a drawn value between its least and its most."""
    return float(np.clip(value, effect(cause, f"{on} least"), effect(cause, f"{on} most")))


def _clinic(seed: int, genotype: Genotype) -> tuple[int, str, int, str]:
    """Draw age, sex, Karnofsky index and extent of resection."""
    random = stream(seed, "profile", "clinic")
    scores, places = random.standard_normal(2), random.random(2)
    age = effect(genotype.kind, "age mean") + effect(genotype.kind, "age SD") * scores[0]
    age_years = round(_within(age, "adult", "age"))
    sex = "male" if places[0] < effect(genotype.idh, "male") else "female"
    older = (age_years - effect(genotype.kind, "age mean")) / 10
    kps = effect(genotype.idh, "KPS mean") + effect("adult", "KPS per decade") * older
    kps += effect("adult", "KPS SD") * scores[1]
    kps = round(_within(10 * round(kps / 10), "adult", "KPS"))
    total = effect(genotype.idh, "gross total")
    if places[1] < total:
        return age_years, sex, kps, "gross total"
    partial = places[1] < total + effect(genotype.idh, "subtotal")
    return age_years, sex, kps, "subtotal" if partial else "biopsy"


def _mismatch_probability(genotype: Genotype) -> float:
    if genotype.kind != "astrocytoma" or genotype.grade == 4:
        return 0.0
    return effect(f"astrocytoma grade {genotype.grade}", "T2-FLAIR mismatch")


def _glioma(seed: int, genotype: Genotype) -> Glioma:
    """Draw size, shares, reach and topology of the untreated glioma."""
    random = stream(seed, "profile", "glioma")

    def size(on: str) -> float:
        middle = effect(REFERENCE, on) * combined(on, genotype.causes)
        return float(middle * np.exp(effect(PATIENT, on) * random.standard_normal()))

    def share(on: str) -> float:
        middle = effect(REFERENCE, on)
        odds = middle / (1 - middle) * combined(on, genotype.causes)
        odds *= np.exp(effect(PATIENT, on) * random.standard_normal())
        return float(odds / (1 + odds))

    necrosis, nonviable, hypervascular = map(share, ("necrosis", "nonviable", "hypervascular"))
    nonviable *= 1 - necrosis
    hypervascular *= 1 - necrosis - nonviable
    satellites = effect(REFERENCE, "satellites") * combined("satellites", genotype.causes)
    return Glioma(
        volume_ml=_within(size("volume"), "preoperative", "volume"),
        necrosis=necrosis,
        nonviable=nonviable,
        hypervascular=hypervascular,
        oedema_ml=min(size("oedema"), effect("preoperative", "oedema most")),
        infiltration_mm=min(size("infiltration"), INFILTRATION_MOST_MM),
        satellites=round(
            min(random.poisson(satellites), effect("preoperative", "satellites most"))
        ),
        patch_mm=size("patch"),
        irregularity=size("irregularity"),
    )


def _tissues(seed: int, genotype: Genotype, *, mismatch: bool) -> Mapping[str, TissueModel]:
    """Draw what each tissue is in one patient."""
    score = stream(seed, "profile", "tissues").standard_normal

    def patient(on: str) -> float:
        return float(np.exp(effect(PATIENT, on) * score()))

    def genetic(on: str) -> float:
        return combined(on, genotype.causes) * patient(on)

    brain, transit = patient("CBV of the whole brain"), patient("MTT")
    blood, leak, space = genetic("CBV"), patient("Ktrans"), patient("ve")
    barrier = combined("Ktrans", genotype.causes)
    diffusion, radius = genetic("ADC"), genetic("vessel radius")
    if mismatch:
        diffusion *= effect("T2-FLAIR mismatch", "ADC")
    drawn = {}
    for name, model in TISSUES.items():
        cells, leaks = name in CELLULAR, name in LEAKY
        drawn[name] = scaled_tissue(
            model,
            cbv=brain * blood if cells else brain,
            mtt=transit,
            # radiation opens the barrier of any brain
            ktrans=(leak if name == "radiation" else leak * barrier) if leaks else 1.0,
            ve=space if leaks else 1.0,
            adc=diffusion if cells else 1.0,
            vessel_radius=radius if cells else 1.0,
        )
    if mismatch:
        drawn["hypovascular"] = _watery(drawn["hypovascular"])
    return MappingProxyType(drawn)


def _watery(model: TissueModel) -> TissueModel:
    """Return a tissue with the long relaxation times of the T2-FLAIR mismatch."""
    longer = {on: effect("T2-FLAIR mismatch", on) for on in ("T1", "T2", "T2*")}
    native = {
        field: NativeTissue(
            t1_s=times.t1_s * longer["T1"],
            t2_s=times.t2_s * longer["T2"],
            t2s_s=times.t2s_s * longer["T2*"],
            proton_density=times.proton_density,
        )
        for field, times in model.native.items()
    }
    return dataclasses.replace(model, native=MappingProxyType(native))


def _physiology(seed: int, *, age_years: int, sex: str) -> Physiology:
    """Draw the body around the default one; less cardiac output brings the agent later."""
    score = stream(seed, "profile", "body").standard_normal

    def patient(on: str) -> float:
        return float(np.exp(effect(PATIENT, on) * score()))

    weight_kg = effect(sex, "weight") * patient("weight")
    weight_kg = _within(weight_kg, "body", "weight")
    size = (weight_kg / _BODY.weight_kg) ** effect("weight", "cardiac output")
    ageing = np.exp(
        effect("age", "cardiac output") * (age_years - effect("age", "reference for output"))
    )
    relative = float(size * ageing * patient("cardiac output"))
    large = effect(sex, "haematocrit") + effect(PATIENT, "haematocrit") * score()
    large = _within(large, "body", "haematocrit")
    late = relative ** effect("cardiac output", "transit")
    wide = relative ** effect("cardiac output", "bolus width")
    return Physiology(
        weight_kg=weight_kg,
        cardiac_output_l_per_min=_BODY.cardiac_output_l_per_min * relative,
        haematocrit_large=large,
        haematocrit_small=large * _BODY.haematocrit_small / _BODY.haematocrit_large,
        transit_s=_BODY.transit_s * effect("body", "transit") * late * patient("transit"),
        width_s=_BODY.width_s * wide * patient("bolus width"),
        bolus_shape=_BODY.bolus_shape * patient("bolus shape"),
        recirculation=_BODY.recirculation * patient("recirculation"),
        recirculation_delay_s=_BODY.recirculation_delay_s * patient("recirculation delay"),
        dispersion_s=effect("body", "dispersion") * patient("dispersion"),
    )
