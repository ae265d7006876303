"""When a simulated patient progresses and dies, by a hazard model that is written down."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr

from bolus.core.randomness import stream
from bolus.errors import Code, MetadataError
from bolus.simulate.course import Visit, habitat_volumes_ml
from bolus.simulate.effects import effect
from bolus.simulate.growth import Glioma
from bolus.simulate.profile import PatientProfile

_CELLULAR_HABITATS = ("hypervascular", "hypovascular")
_GROWING = ("progression", "pseudo-response")


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What follow-up knows, in days since the first visit.

    `progressed` False: not seen until `progression_days`, when the patient died or was lost.
    `died` False: alive at `survival_days`, the end of follow-up. Progression never comes after
    `survival_days`. Progression-free survival ends at `progression_days` if `progressed or died`.
    """

    progression_days: int
    progressed: bool
    survival_days: int
    died: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class _Hazard:
    """A Weibull hazard from `offset_d` after diagnosis, its ratio constant between `days`."""

    shape: float
    scale_d: float
    offset_d: float
    days: tuple[float, ...]
    log_ratios: tuple[float, ...]

    def base(self, day: float) -> float:
        """Return the cumulative baseline hazard from the first visit to a day."""
        late, first = (day + self.offset_d) / self.scale_d, self.offset_d / self.scale_d
        return float(late**self.shape - first**self.shape)

    def cumulative(self, day: float) -> float:
        """Return the cumulative hazard from the first visit to a day."""
        ends = (*self.days[1:], np.inf)
        return sum(
            float(np.exp(ratio)) * (self.base(min(day, end)) - self.base(start))
            for start, end, ratio in zip(self.days, ends, self.log_ratios, strict=True)
            if start < day
        )

    def day_of(self, cumulative: float) -> float:
        """Return the day on which the cumulative hazard reaches a value."""
        start, reached, ratio = self.days[0], 0.0, self.log_ratios[0]
        for begins, following in zip(self.days[1:], self.log_ratios[1:], strict=True):
            upto = self.cumulative(begins)
            if upto >= cumulative:
                break
            start, reached, ratio = begins, upto, following
        base = self.base(start) + (cumulative - reached) * float(np.exp(-ratio))
        first = (self.offset_d / self.scale_d) ** self.shape
        return float((base + first) ** (1 / self.shape) * self.scale_d - self.offset_d)


def draw_outcome(profile: PatientProfile, visits: Sequence[Visit]) -> Outcome:
    """Draw progression and death of one patient, and what follow-up sees of them.

    Each has the hazard h(t) = (k / λ) ((t + t₀) / λ)^(k - 1) exp(x + z(t)), with x of
    `log_hazard_ratio` and z of the last attended visit's `habitat_log_hazard_ratio`; times come
    by inversion of the cumulative hazard, H(T) = H(s) - ln U. The two U are correlated. A patient
    lives at least until the last attended visit (s), and does not progress before the last
    attended visit that found no progression. Follow-up ends after a uniform time or an
    exponential one, whichever is shorter, both counted from the last attended visit.

    Args:
        profile: the patient.
        visits: those of `plan_visits`, with the first one first.

    Raises:
        MetadataError: there is no visit.

    Source:
        Bender et al., Stat Med 2005;24:1713 (inversion); numbers: `effects.EFFECTS`.

    Example:
        >>> from bolus.simulate.course import plan_visits
        >>> from bolus.simulate.profile import draw_profile
        >>> patient = draw_profile(1, 0)
        >>> seen = draw_outcome(patient, plan_visits(patient, visits=2, post_treatment=True))
        >>> 0 < seen.progression_days <= seen.survival_days
        True
    """
    attended = [visit for visit in visits if visit.attended]
    if not attended:
        raise MetadataError(
            Code.ARGUMENT_INVALID, "no visit was attended", mend="give the visits of plan_visits"
        )
    random = stream(profile.seed, "outcome")
    death_score, other = random.standard_normal(2)
    tied = effect("patient", "death with progression")
    progression_score = tied * death_score + np.sqrt(1 - tied**2) * other
    death = _time(_hazard(profile, attended, "death"), score=death_score, after_d=attended[-1].day)
    quiet = [visit.day for visit in attended if visit.course not in _GROWING]
    progression = _time(
        _hazard(profile, attended, "progression"),
        score=progression_score,
        after_d=max(quiet, default=0),
    )
    open_d = random.uniform(effect("follow-up", "least"), effect("follow-up", "most"))
    lost_d = random.exponential(effect("follow-up", "loss"))
    end = attended[-1].day + min(open_d, lost_d)
    last = min(death, end)
    return Outcome(
        progression_days=_whole(min(progression, last)),
        progressed=bool(progression < last),
        survival_days=_whole(last),
        died=bool(death < end),
    )


def log_hazard_ratio(profile: PatientProfile) -> float:
    """Return ln of a patient's hazard of death over that of the reference patient.

    x = Σ ln HR over IDH, grade, 1p/19q, CDKN2A (mutants only), MGMT, extent of resection, and
    ln HR per year and point for age - 60 and KPS - 80. The reference is 60 years, KPS 80, mutant,
    grade 3, no other marker, gross total resection.

    Args:
        profile: the patient.

    Source:
        UCSF-PDGM (doi 10.7937/tcia.bdgf-8v37) for IDH, age, grade 4, MGMT, extent; the rest is
        set by us, see `effects.EFFECTS`.

    Example:
        >>> from bolus.simulate.profile import draw_profile
        >>> -6.0 < log_hazard_ratio(draw_profile(1, 0)) < 6.0
        True
    """
    genotype = profile.genotype
    held = [*genotype.causes, profile.extent]
    if genotype.mgmt_methylated:
        held.append("MGMT methylated")
    total = sum(np.log(effect(cause, "death")) for cause in held if cause not in _UNITY)
    total += np.log(effect("age", "death")) * (profile.age_years - effect("baseline", "age"))
    total += np.log(effect("KPS", "death")) * (profile.kps - effect("baseline", "KPS"))
    return float(total)


_UNITY = ("mutant", "grade 3", "gross total")
"""Causes that are the reference: their hazard ratio is 1."""


def habitat_log_hazard_ratio(first: Glioma, later: Glioma) -> float:
    """Return ln of the hazard ratio of progression for growth of the cellular habitats.

    z = Σ ln HRᵢ · min(max(Vᵢ(later) - Vᵢ(first), 0), capᵢ) over hypervascular and hypovascular.
    Published ratios (40.0 and 3.78, Park 2021) are per unit of a scale that was not stated, so
    the scale here is ours: per mL, up to a cap, where the ratios are those of Moon 2024.

    Args:
        first: at the first visit.
        later: at a later one.

    Source:
        Moon et al., Neuro Oncol 2024, noae227 (4.14; 10.02 for both); per mL and caps set by us.

    Example:
        >>> from bolus.simulate.growth import Glioma
        >>> small = Glioma(volume_ml=1.0, hypervascular=0.0)
        >>> large = Glioma(volume_ml=60.0, hypervascular=0.3)
        >>> round(float(np.exp(habitat_log_hazard_ratio(small, large))), 1)
        10.0
        >>> habitat_log_hazard_ratio(large, small)
        0.0
    """
    before, after = habitat_volumes_ml(first), habitat_volumes_ml(later)
    return float(
        sum(
            np.log(effect(habitat, "progression"))
            * np.clip(after[habitat] - before[habitat], 0.0, effect(habitat, "cap"))
            for habitat in _CELLULAR_HABITATS
        )
    )


def _hazard(profile: PatientProfile, attended: Sequence[Visit], event: str) -> _Hazard:
    """Return the hazard of one event; each attended visit sets its ratio from that day."""
    clinical, by_habitats = log_hazard_ratio(profile), 1.0
    if event == "death":
        by_habitats = effect("habitats", "death")
    else:
        clinical *= effect("baseline", "covariates on progression")
    treated = attended[0].course != "preoperative"
    ratios = [
        clinical + by_habitats * habitat_log_hazard_ratio(attended[0].glioma, visit.glioma)
        for visit in attended
    ]
    return _Hazard(
        shape=effect("baseline", f"{event} shape"),
        scale_d=effect("baseline", f"{event} scale"),
        offset_d=effect("first post-treatment scan", "after diagnosis") if treated else 0.0,
        days=tuple(float(visit.day) for visit in attended),
        log_ratios=tuple(ratios),
    )


def _time(hazard: _Hazard, *, score: float, after_d: float) -> float:
    """Return the day of an event that did not happen until `after_d`."""
    return hazard.day_of(hazard.cumulative(after_d) - float(np.log(ndtr(score))))


def _whole(days: float) -> int:
    return max(1, int(np.ceil(days)))
