"""Importance in time: windows, phases, and whether deleting what is important hurts."""

import numpy as np
import pytest
from sequence_example import cohort

from bolus.errors import QuantityError
from bolus.nets.importance import WINDOWS, deletion_test, importance_of, phase_importance
from bolus.nets.physical_axis import AXIS
from bolus.nets.sequence import SequenceEnsemble, SequenceSettings, start_member
from bolus.nets.sequence_input import sequence_input
from bolus.nets.unlike import SUMMARIES


class Depth(SequenceEnsemble):
    """Says mutant where the enhancing tumour is shallow at the peak of the bolus."""

    def forward(self, values, known):
        odds, attention = super().forward(values, known)
        area = values[:, 0, 12:20].sum(1) * 2 + 40 * (known[:, 0, 12:20] == 0).sum(1) / 8
        return 0 * odds + (30 - area)[:, None] / 10, attention


@pytest.fixture(scope="module")
def ready():
    settings = SequenceSettings(network="tcn", members=2, width=8)
    ensemble = Depth([start_member(settings, seed=n) for n in range(2)], SUMMARIES).eval()
    exams = cohort(24).exams
    inputs = [sequence_input(e) for e in exams]
    return inputs, ensemble, np.array([e.labels["idh"] == "mutant" for e in exams])


def test_occlusion_finds_the_only_windows_that_matter(ready):
    found = importance_of(ready[0], ready[1])
    mean = found.occlusion.mean(axis=0)

    assert found.attention.shape == (24, WINDOWS)
    np.testing.assert_allclose(found.attention.sum(axis=1), 1, atol=1e-5)
    assert found.start_s[-1] < AXIS.seconds[-1]
    assert set(np.flatnonzero(mean > 1e-6)) <= {3, 4}
    assert mean.max() > 0.01


def test_phases_without_a_hold_on_the_answer_have_none(ready):
    rows = {row.name: row for row in phase_importance(*ready)}

    assert list(rows) == ["baseline", "baseline end", "down-slope", "up-slope", "plateau"]
    assert rows["baseline"].occlusion < 1e-6
    assert rows["plateau"].occlusion < 1e-6
    assert max(rows["down-slope"].occlusion, rows["up-slope"].occlusion) > 0.01
    assert rows["down-slope"].seconds > 1
    assert sum(row.attention for row in rows.values()) == pytest.approx(1, abs=0.05)


def test_deleting_what_matters_hurts_more_than_deleting_anything(ready):
    inputs, ensemble, present = ready
    right = np.tile([4, 3, *(n for n in range(WINDOWS) if n not in (3, 4))], (len(inputs), 1))
    wrong = right[:, ::-1].copy()

    good = deletion_test(inputs, ensemble, present, right, seed=1, windows=2, repeats=5)
    poor = deletion_test(inputs, ensemble, present, wrong, seed=1, windows=2, repeats=5)

    assert abs(poor.chosen) < 1e-6
    assert good.exams == len(inputs)
    assert good.chosen > good.random
    assert poor.p_value > 0.05


def test_an_order_that_does_not_fit_is_refused(ready):
    with pytest.raises(QuantityError):
        deletion_test(*ready, np.zeros((2, 3), int), seed=1)
