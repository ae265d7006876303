"""Simulated visits on two scanners: the registration against the poses that were drawn."""

from dataclasses import dataclass

import numpy as np
import pytest

from bolus.core import LabelMap, Mask
from bolus.errors import Code, GeometryError
from bolus.preprocess import VisitImage, register_visits, resample_labels_through
from bolus.simulate import draw_profile, draw_scanners, plan_visits
from bolus.simulate.patient import phantom_of
from bolus.simulate.session import session_settings, structural_grid
from bolus.simulate.structural import simulate_structural

FLEET = draw_scanners(3, seed=3, shape=(96, 96, 12))


@dataclass(frozen=True)
class Seen:
    image: VisitImage
    lesion: Mask
    brain: Mask
    tissue: LabelMap
    pose: np.ndarray


def visit(patient: int, number: int, scanner: int) -> Seen:
    profile = draw_profile(3, patient)
    plan = plan_visits(profile, visits=3, post_treatment=True)[number]
    settings = session_settings(profile, plan, FLEET[scanner])
    grid = structural_grid(FLEET[scanner])
    phantom = phantom_of(settings, grid)
    values = simulate_structural(settings, grid)["T1ce"] * FLEET[scanner].gain
    return Seen(
        image=VisitImage(values=np.rint(values), grid=grid),
        lesion=phantom.tumour.foreground,
        brain=phantom.brain,
        tissue=LabelMap(
            values=phantom.brain.values.astype(np.uint8), grid=grid, names={1: "brain"}
        ),
        pose=settings.head_pose.affine,
    )


@pytest.mark.slow
def test_visits_on_two_scanners_meet_within_a_quarter_of_a_millimetre():
    pairs = [(visit(n, 0, n), visit(n, 2, n + 1)) for n in (0, 1)]
    for first, later in pairs:
        found = register_visits(
            later.image, first.image, moving_lesion=later.lesion, fixed_lesion=first.lesion
        )
        truth = later.pose @ np.linalg.inv(first.pose)
        points = first.brain.grid.centres_mm(np.argwhere(first.brain.values)[::20].astype(float))
        wrong = np.linalg.norm(
            found.places(points) - points @ truth[:3, :3].T - truth[:3, 3], axis=1
        )
        assert np.median(wrong) < 0.25
        assert wrong.max() < 0.75
        assert np.median(wrong) <= found.error_mm
        assert wrong.max() <= 2 * found.error_p95_mm
        moved = resample_labels_through(later.tissue, found, first.brain.grid)
        both = np.count_nonzero(first.brain.values & (moved.values == 1))
        assert 2 * both / (first.brain.count + np.count_nonzero(moved.values == 1)) > 0.95
    with pytest.raises(GeometryError) as failure:
        register_visits(pairs[1][1].image, pairs[0][0].image)
    assert failure.value.code is Code.REGISTRATION_FAILED
