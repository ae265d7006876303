"""Maps without a series: a visit's truth on a grid, and what a scanner would have made of it."""

from dataclasses import dataclass

import numpy as np

from bolus.core.geometry import Grid
from bolus.core.maps import MapSet, ParameterMap
from bolus.core.provenance import Provenance, Step
from bolus.core.quantities import QUANTITIES
from bolus.core.randomness import stream
from bolus.core.regions import LabelMap, Mask
from bolus.errors import Code, MetadataError
from bolus.simulate.course import Visit
from bolus.simulate.patient import PatientSettings, phantom_of
from bolus.simulate.profile import PatientProfile


@dataclass(frozen=True, slots=True, kw_only=True)
class MapNoise:
    """Errors of measured maps: standard deviations in one voxel, and one of a visit.

    A value v is measured as v (1 + a x) + b y, with x and y drawn N(0, 1) per voxel, a its
    `_relative` and b its absolute error. `reference` is the standard deviation of the logarithm of
    the factor by which a visit's normal white matter is misjudged.

    Those of CBV lie between two simulated series and their leakage correction at SNR 80 (0.02 and
    0.12 mL/100mL) and at SNR 40 (0.05 and 0.23), both without motion; the others are set by us.
    """

    cbv_relative: float = 0.03
    cbv_ml_per_100ml: float = 0.17
    adc_relative: float = 0.03
    adc_mm2_per_s: float = 3e-5
    ktrans_relative: float = 0.15
    ktrans_per_min: float = 0.004
    reference: float = 0.05


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SimulatedMaps:
    """Maps of one visit and their truth, on one grid and in the head's own place.

    `measured` holds rcbv [ratio, with the scanner's gain], ncbv, adc and ktrans, `truth` what
    `Phantom.truth` does. All visits of a patient lie alike: their maps need no registration.
    """

    profile: PatientProfile
    visit: Visit
    measured: MapSet
    truth: MapSet
    tumour: LabelMap
    habitats: LabelMap
    brain: Mask
    reference: Mask


def simulate_maps(
    profile: PatientProfile,
    visit: Visit,
    *,
    grid: Grid,
    gain: float = 1.0,
    scan: int = 0,
    noise: MapNoise | None = None,
) -> SimulatedMaps:
    """Return nCBV, ADC and Ktrans maps of a visit without simulating a series.

    Meant for training habitats on many patients; what a series and its processing do to a map
    beyond noise and gain (leakage, motion, vessels, distortion) is not in it.

    Args:
        profile: the patient.
        visit: one of `plan_visits`.
        grid: of the maps, such as `scan_grid` gives.
        gain: multiplies blood volume as this scanner and software show it; cancels in nCBV.
        scan: another number gives other noise of the same visit.
        noise: errors; None is `MapNoise()`.

    Raises:
        MetadataError: the gain is not positive, or the grid holds no pure white matter.

    Source:
        Set by us.

    Example:
        >>> from bolus.simulate import scan_grid
        >>> from bolus.simulate.course import plan_visits
        >>> from bolus.simulate.fast_maps import simulate_maps
        >>> from bolus.simulate.profile import draw_profile
        >>> profile = draw_profile(1, 0)
        >>> grid = scan_grid(shape=(32, 32, 6), voxel_mm=(7.0, 7.0, 20.0), orientation="LAS")
        >>> maps = simulate_maps(
        ...     profile, plan_visits(profile, visits=1, post_treatment=False)[0], grid=grid)
        >>> sorted(maps.measured)
        ['adc', 'ktrans', 'ncbv', 'rcbv']
    """
    if not gain > 0:
        raise MetadataError(
            Code.ARGUMENT_INVALID,
            f"a gain of {gain:g}",
            mend="give a positive factor; 1 for none",
        )
    settings = PatientSettings(
        seed=profile.seed,
        physiology=profile.physiology,
        glioma=visit.glioma,
        tissues=visit.tissues,
    )
    phantom = phantom_of(settings, grid)
    reference = phantom.reference
    if reference.count == 0:
        raise MetadataError(
            Code.ARGUMENT_INVALID,
            f"no voxel of the grid {grid.shape} is pure white matter, which nCBV refers to",
            mend="take a finer grid",
        )
    names = (str(visit.number), str(scan))
    measured = _measured(
        phantom.truth, reference, seed=profile.seed, names=names, gain=gain, noise=noise
    )
    return SimulatedMaps(
        profile=profile,
        visit=visit,
        measured=measured,
        truth=phantom.truth,
        tumour=phantom.tumour,
        habitats=phantom.habitats,
        brain=phantom.brain,
        reference=reference,
    )


def _measured(
    truth: MapSet,
    reference: Mask,
    *,
    seed: int,
    names: tuple[str, str],
    gain: float,
    noise: MapNoise | None,
) -> MapSet:
    """Return the maps with noise where the truth is known."""
    errors = noise or MapNoise()
    known = np.isfinite(truth["ncbv"].values)
    where = Mask(values=known, grid=truth["ncbv"].grid, name="tissue")

    def seen(key: str, relative: float, absolute: float) -> np.ndarray:
        random = stream(seed, "maps", *names, key)
        value = truth[key].values[known]
        x, y = random.standard_normal((2, len(value)))
        return np.asarray(value * (1 + relative * x) + absolute * y)

    cbv = gain * seen("cbv", errors.cbv_relative, errors.cbv_ml_per_100ml)
    misjudged = np.exp(errors.reference * stream(seed, "maps", *names, "reference").normal())
    white = cbv[reference.values[known]].mean() * misjudged
    values = {
        "rcbv": cbv,
        "ncbv": cbv / white,
        "adc": seen("adc", errors.adc_relative, errors.adc_mm2_per_s),
        "ktrans": seen("ktrans", errors.ktrans_relative, errors.ktrans_per_min),
    }
    history = Provenance().then(
        Step("simulate.simulate_maps", {"visit": names[0], "scan": names[1], "gain": gain})
    )
    return MapSet(
        {
            key: ParameterMap.from_voxels(
                value, quantity=QUANTITIES[key], mask=where, provenance=history
            )
            for key, value in values.items()
        }
    )
