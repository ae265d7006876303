"""The chapter of networks: what each gate is of, and that it can fail."""

from types import SimpleNamespace

import numpy as np
import pytest

from bolus.errors import Code, ResourceError
from bolus.workflows import gates_networks as chapter
from bolus.workflows.gates_request import PROFILES, GateRequest
from bolus.workflows.progress import silent
from bolus.workflows.shipped_field import DceScore
from bolus.workflows.shipped_frames import FrameScore

REQUEST = GateRequest(seed=1, profile=PROFILES["quick"])
GOOD = FrameScore(
    frames_psnr=40.0, frames_ssim=0.99, frames_nmse=0.01, map_psnr=30.0, map_nmse=0.01,
    map_bias=0.0, aif_peak=0.01, aif_fwhm=0.01, aif_ttp_s=0.1, recovery_bias=0.0, contrast=0.9,
    lost=0, invented=0,
)  # fmt: skip


def gates(part):
    return {gate.name: gate.passed for gate in part.gates}


@pytest.fixture
def fields(monkeypatch):
    """Let every way score what a test says."""
    scores = {"network": (GOOD, 25.0)}
    plain = FrameScore(**{**{n: getattr(GOOD, n) for n in GOOD.__slots__}, "map_psnr": 27.0})
    monkeypatch.setattr(chapter.shipped_field, "dsc_field_tests", lambda count: [None] * count)
    monkeypatch.setattr(chapter.shipped_field, "dce_field_tests", lambda count: [None] * count)
    monkeypatch.setattr(chapter.shipped_field, "field_way", lambda _weights: "network")

    def measured(way, _dsc, _dce):
        frame, ktrans = scores.get(way, (plain, 22.0))
        return [frame], [DceScore(frames_psnr=30.0, map_psnr=ktrans, map_bias=0.0)]

    monkeypatch.setattr(chapter.shipped_field, "measured_of", measured)
    return scores


def test_resolution_passes_where_maps_gain_and_nothing_is_bent(fields):
    assert all(gates(chapter.resolution_part(REQUEST)).values())


@pytest.mark.parametrize(
    ("field", "value", "gate"),
    [
        ("map_psnr", 28.9, "gain of the CBV map over trilinear"),
        ("aif_peak", 0.06, "height of vessels, network"),
        ("aif_fwhm", -0.06, "width of vessels, network"),
        ("aif_ttp_s", 0.8, "time to peak of vessels, network"),
        ("recovery_bias", 0.06, "signal recovery, network"),
        ("map_bias", 0.06, "mean blood volume, network"),
        ("lost", 1, "lesions lost or invented, network"),
        ("invented", 1, "lesions lost or invented, network"),
    ],
)
def test_each_gate_of_resolution_can_fail(fields, field, value, gate):
    held = {name: getattr(GOOD, name) for name in GOOD.__slots__}
    fields["network"] = (FrameScore(**{**held, field: value}), 25.0)
    assert not gates(chapter.resolution_part(REQUEST))[gate]


def test_ktrans_that_gains_too_little_fails(fields):
    fields["network"] = (GOOD, 23.9)
    assert not gates(chapter.resolution_part(REQUEST))["gain of the Ktrans map over trilinear"]


def test_intervals_are_held_from_both_sides(monkeypatch):
    truth = np.linspace(0.1, 1, 400)
    held = {"share": 0.9}
    test = SimpleNamespace(
        snr=np.where(np.arange(400) % 2, 5.0, 80.0),
        truth=lambda _key: truth,
        mean=lambda _key: truth + 0.01,
        least_squares=lambda _key: (truth + 0.02, None),
        coverage=lambda _key: SimpleNamespace(covered=held["share"]),
    )
    monkeypatch.setattr(chapter.shipped_pharmacokinetics, "kinetic_test", lambda *_: test)
    monkeypatch.setattr(chapter, "simulate_kinetic_curves", lambda *_a, **_k: ())
    assert all(gates(chapter.interval_part(REQUEST)).values())
    for wrong in (0.87, 0.93):
        held["share"] = wrong
        assert not gates(chapter.interval_part(REQUEST))["90 % interval, Ktrans"]


def test_without_torch_the_chapter_says_why(monkeypatch):
    def absent():
        raise ResourceError(Code.EXTRA_MISSING, "torch is not installed", mend="install it")

    monkeypatch.setattr(chapter, "require_networks", absent)
    (part,) = chapter.certify_networks(REQUEST, silent)
    assert part.gates[0].passed is None
    assert "torch" in part.gates[0].note


@pytest.mark.slow
def test_the_shipped_networks_pass_the_parts_of_curves():
    for part in (chapter.interval_part(REQUEST), chapter.aif_part(REQUEST)):
        assert all(gates(part).values()), part.title
