"""What becomes of a glioma from visit to visit: growth, treatment effect, and who comes back."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from bolus.core.randomness import stream
from bolus.errors import Code, MetadataError
from bolus.simulate.effects import effect
from bolus.simulate.growth import Glioma
from bolus.simulate.profile import CELLULAR, LEAKY, PatientProfile, scaled_tissue
from bolus.simulate.tissues import TissueModel

COURSES = ("preoperative", "stable", "progression", "treatment effect", "pseudo-response")
"""What a visit may find."""
_PARTS = ("hypervascular", "hypovascular", "nonviable", "necrosis", "radiation")


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """One scan of a patient, planned or done.

    `number` from 0, `day` since the first, `course` one of `COURSES`: what is under way on that
    day. `glioma` and `tissues` are the truth of the day. `attended` is False from when the
    patient dropped out.
    """

    number: int
    day: int
    course: str
    glioma: Glioma
    tissues: Mapping[str, TissueModel]
    attended: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class _Latent:
    """What decides a course after treatment; `first_ml` are volumes at the first visit."""

    course: str
    onset_d: float
    doubling_d: float
    emerges: bool
    rise: float
    radiated_cbv: float
    oedema: float
    first_ml: Mapping[str, float]


def plan_visits(profile: PatientProfile, *, visits: int, post_treatment: bool) -> tuple[Visit, ...]:
    """Return the visits of a patient, with the truth of each.

    Before treatment there is one visit with the profile's own glioma. After resection and
    chemoradiotherapy an enhancing lesion is left beside a cavity, and one of four courses runs:
    stable, progression (hypovascular, then hypervascular tissue grows), treatment effect (radiated
    tissue grows and shrinks), pseudo-response (vessels normalise under antiangiogenic therapy
    while cells go on growing). More visits do not change earlier ones.

    Args:
        profile: the patient; its seed decides everything, so the place stays the same.
        visits: how many, at least 1; exactly 1 before treatment.
        post_treatment: whether the first visit is the first after chemoradiotherapy.

    Raises:
        MetadataError: the number of visits does not fit.

    Source:
        Rows of `effects.EFFECTS`; equations in docs/explanation/patients.md. Volumes, shares and
        gaps follow 267 released habitat maps of Moon et al., Neuro Oncol 2024, noae227.

    Example:
        >>> from bolus.simulate.profile import draw_profile
        >>> patient = draw_profile(1, 0)
        >>> [v.number for v in plan_visits(patient, visits=3, post_treatment=True)]
        [0, 1, 2]
        >>> plan_visits(patient, visits=1, post_treatment=False)[0].glioma == patient.glioma
        True
    """
    if visits < 1 or (not post_treatment and visits > 1):
        raise MetadataError(
            Code.ARGUMENT_INVALID,
            f"{visits} visits {'after' if post_treatment else 'before'} treatment",
            mend="ask for one visit before treatment, or one or more after it",
        )
    if not post_treatment:
        first = Visit(
            number=0, day=0, course="preoperative", glioma=profile.glioma,
            tissues=profile.tissues, attended=True,
        )  # fmt: skip
        return (first,)
    return _follow(profile, visits)


def habitat_volumes_ml(glioma: Glioma) -> Mapping[str, float]:
    """Return the volume [mL] of the three habitats of a mass.

    Args:
        glioma: of one visit; necrosis and radiated tissue count as nonviable.

    Source:
        Park et al., Clin Cancer Res 2021;27:237 (the three habitats).

    Example:
        >>> volumes = habitat_volumes_ml(Glioma(volume_ml=10.0, hypervascular=0.3))
        >>> round(volumes["hypervascular"], 3), round(sum(volumes.values()), 3)
        (3.0, 10.0)
    """
    dead = glioma.necrosis + glioma.nonviable + glioma.radiation
    shares = {
        "hypervascular": glioma.hypervascular,
        "hypovascular": max(0.0, 1 - dead - glioma.hypervascular),
        "nonviable": dead,
    }
    return MappingProxyType({name: glioma.volume_ml * share for name, share in shares.items()})


def _follow(profile: PatientProfile, visits: int) -> tuple[Visit, ...]:
    """Return the visits after treatment."""
    latent = _latent(profile)
    walk = dict.fromkeys(("hypervascular", "hypovascular", "dead"), 0.0)
    day, attended = 0, True
    first_living = sum(latent.first_ml[name] for name in CELLULAR)
    planned = []
    for number in range(visits):
        random = stream(profile.seed, "course", "visit", str(number))
        gap, wander, leaves = random.standard_normal(), random.standard_normal(3), random.random()
        if number > 0:
            step_d = _gap(gap)
            day += step_d
            gaps = step_d / effect("gap", "median")
            spread = effect("any course", "wandering") * np.sqrt(gaps)
            drift = effect("any course", "drift") * gaps
            walk = {
                name: moved + drift + spread * score
                for (name, moved), score in zip(walk.items(), wander, strict=True)
            }
        volumes = _volumes(latent, day, walk)
        living = sum(volumes[name] for name in CELLULAR)
        if number > 0:
            attended = attended and bool(leaves >= _drop_out(living / max(first_living, 1e-6)))
        active = day >= latent.onset_d
        planned.append(
            Visit(
                number=number,
                day=day,
                course=latent.course if active else "stable",
                glioma=_glioma(profile, latent, volumes, active=active),
                tissues=_tissues(profile, latent, active=active),
                attended=attended,
            )
        )
    return tuple(planned)


def _gap(score: float) -> int:
    """Return days to the next visit; both sides of the median have their own spread."""
    side = "SD below" if score < 0 else "SD above"
    gap = effect("gap", "median") + effect("gap", side) * score
    return int(max(round(gap), effect("gap", "least")))


def _drop_out(growth: float) -> float:
    """Return the probability of not coming back, given how many times living tumour has grown."""
    doublings = max(0.0, float(np.log2(max(growth, 1e-6))))
    risk = effect("drop-out", "per gap") + effect("drop-out", "per doubling") * doublings
    return min(risk, effect("drop-out", "most"))


def _latent(profile: PatientProfile) -> _Latent:
    """Draw the course and everything it needs."""
    random = stream(profile.seed, "course", "latent")
    place, moment, emerging = random.random(3)
    slow, rise, blood, swelling = random.standard_normal(4)
    edges = np.cumsum([effect("course", name) for name in COURSES[2:]])
    named = (*COURSES[2:], "stable")
    earliest, latest = effect("course", "onset earliest"), effect("course", "onset latest")
    return _Latent(
        course=named[int(np.searchsorted(edges, place, side="right"))],
        onset_d=earliest + (latest - earliest) * moment,
        doubling_d=effect("progression", "doubling")
        * float(np.exp(effect("progression", "doubling SD") * slow)),
        emerges=bool(emerging < effect("progression", "hypervascular emerges")),
        rise=effect("treatment effect", "rise")
        * float(np.exp(effect("treatment effect", "rise SD") * rise)),
        radiated_cbv=float(np.exp(effect("treatment effect", "CBV SD") * blood)),
        oedema=float(np.exp(effect("oedema", "SD") * swelling)),
        first_ml=_first_lesion(profile.seed),
    )


def _first_lesion(seed: int) -> Mapping[str, float]:
    """Draw volumes [mL] of the parts of the lesion at the first visit after treatment."""
    random = stream(seed, "course", "lesion")
    size, rich, dead = random.standard_normal(3)
    side = "volume SD below" if size < 0 else "volume SD above"
    volume = effect("lesion", "volume") * np.exp(effect("lesion", side) * size)
    volume = np.clip(volume, effect("lesion", "volume least"), effect("lesion", "volume most"))
    hypervascular = 0.0
    if random.random() >= effect("lesion", "no hypervascular"):
        hypervascular = effect("lesion", "hypervascular")
        hypervascular *= np.exp(effect("lesion", "hypervascular SD") * rich)
        hypervascular = min(hypervascular, effect("lesion", "hypervascular most"))
    middle = effect("lesion", "nonviable")
    odds = middle / (1 - middle) * np.exp(effect("lesion", "nonviable SD") * dead)
    nonviable = (1 - hypervascular) * odds / (1 + odds)
    radiation = effect("nonviable", "radiation") * nonviable
    necrosis = effect("nonviable", "necrosis") * nonviable
    shares = {
        "hypervascular": hypervascular,
        "hypovascular": 1 - hypervascular - nonviable,
        "nonviable": nonviable - radiation - necrosis,
        "necrosis": necrosis,
        "radiation": radiation,
    }
    return MappingProxyType({name: float(volume * share) for name, share in shares.items()})


def _volumes(latent: _Latent, day: float, walk: Mapping[str, float]) -> dict[str, float]:
    """Return the volume [mL] of every part on a day."""
    first = latent.first_ml
    ml = {
        name: first[name] * float(np.exp(walk[name] if name in walk else walk["dead"]))
        for name in _PARTS
    }
    if latent.course in ("progression", "pseudo-response"):
        ml["hypovascular"] *= float(np.exp(_growth(latent, day, lag_d=0.0)))
    if latent.course == "progression" and latent.emerges:
        lag_d = effect("progression", "hypervascular lag")
        rate = effect("progression", "hypervascular rate")
        grown = float(np.expm1(rate * _growth(latent, day, lag_d=lag_d)))
        seeded = effect("progression", "hypervascular seed") * first["hypovascular"]
        ml["hypervascular"] += (first["hypervascular"] + seeded) * grown
    if latent.course == "treatment effect":
        swollen = _swelling(latent, day) - _swelling(latent, 0.0)
        ml["radiation"] = max(0.0, ml["radiation"] + sum(first.values()) * swollen)
    most = effect("progression", "lesion most") / max(sum(ml.values()), 1e-9)
    return {name: volume * min(1.0, most) for name, volume in ml.items()}


def _growth(latent: _Latent, day: float, *, lag_d: float) -> float:
    """Return ln of how many times tissue has grown since the first visit."""
    start = latent.onset_d + lag_d
    return float(np.log(2)) * (max(day, start) - max(0.0, start)) / latent.doubling_d


def _swelling(latent: _Latent, day: float) -> float:
    """Return the radiated tissue of a treatment effect as a multiple of the first lesion."""
    late = max(0.0, day - latent.onset_d) / effect("treatment effect", "peak")
    return float(np.expm1(latent.rise * late * np.exp(1 - late)))


def _glioma(
    profile: PatientProfile, latent: _Latent, ml: Mapping[str, float], *, active: bool
) -> Glioma:
    """Turn volumes into a glioma at the place of the first."""
    whole = sum(ml.values())
    taken = effect(profile.extent, "cavity") * effect("cavity", "kept")
    oedema = effect("oedema", "base") + effect("oedema", "per lesion") * whole
    if active and latent.course == "pseudo-response":
        oedema *= effect("pseudo-response", "oedema")
    return dataclasses.replace(
        profile.glioma,
        volume_ml=whole,
        necrosis=ml["necrosis"] / whole,
        nonviable=ml["nonviable"] / whole,
        hypervascular=ml["hypervascular"] / whole,
        radiation=ml["radiation"] / whole,
        cavity_ml=profile.glioma.volume_ml * taken,
        oedema_ml=min(oedema * latent.oedema, effect("preoperative", "oedema most")),
        infiltration_mm=profile.glioma.infiltration_mm * effect("treated", "infiltration"),
        satellites=min(profile.glioma.satellites, int(effect("treated", "satellites most"))),
    )


def _tissues(
    profile: PatientProfile, latent: _Latent, *, active: bool
) -> Mapping[str, TissueModel]:
    """Return the tissues on a day: radiation and drugs change vessels."""
    tissues = dict(profile.tissues)
    tissues["radiation"] = scaled_tissue(tissues["radiation"], cbv=latent.radiated_cbv)
    if active and latent.course == "treatment effect":
        tissues["radiation"] = scaled_tissue(
            tissues["radiation"],
            ktrans=effect("treatment effect", "Ktrans"),
            adc=effect("treatment effect", "ADC"),
        )
    if active and latent.course == "pseudo-response":
        for name in LEAKY:
            tissues[name] = scaled_tissue(
                tissues[name],
                ktrans=effect("pseudo-response", "Ktrans"),
                cbv=effect("pseudo-response", "CBV") if name in CELLULAR else 1.0,
            )
    return MappingProxyType(tissues)
