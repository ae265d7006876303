"""Phases of a bolus: no gaps, their order, and times between frames."""

import numpy as np
import pytest

from bolus.errors import TimingError
from bolus.quantify.bolus import BolusTiming
from bolus.quantify.bolus_phases import PHASES, bolus_phases, phase_numbers


def timing(**changes):
    given = {"steady": 2, "baseline": slice(2, 9), "arrival": 10, "peak": 14, "first_pass_end": 22}
    return BolusTiming(mean_signal=np.ones(40), contrast_to_noise=80.0, **(given | changes))


def test_phases_follow_each_other_without_gaps():
    phases = bolus_phases(timing(), 2.0 * np.arange(40))

    assert tuple(phase.name for phase in phases) == PHASES
    assert [phase.start_s for phase in phases] == [4.0, 15.5, 20.0, 28.0, 44.0]
    assert [p.end_s for p in phases[:-1]] == [p.start_s for p in phases[1:]]
    assert phases[-1].end_s == 80.0


def test_a_short_baseline_is_all_end():
    phases = bolus_phases(timing(steady=9, baseline=slice(9, 12)), 1.0 * np.arange(40))

    assert phases[0].start_s == phases[0].end_s == 9.0


def test_a_first_pass_to_the_end_of_the_series_leaves_no_plateau():
    phases = bolus_phases(timing(first_pass_end=40), 1.0 * np.arange(40))

    assert phases[-1].start_s == phases[-1].end_s == 40.0


def test_every_time_has_its_phase():
    phases = bolus_phases(timing(), 2.0 * np.arange(40))
    found = phase_numbers(phases, np.array([0.0, 4.0, 15.6, 20.0, 27.9, 28.0, 44.0, 79.0, 80.0]))

    assert found.tolist() == [0, 1, 2, 3, 3, 4, 5, 5, 0]


def test_times_of_another_series_are_refused():
    with pytest.raises(TimingError):
        bolus_phases(timing(), 1.0 * np.arange(20))
