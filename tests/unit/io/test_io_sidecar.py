"""Sidecars: what is written is what is read, and what is odd is said."""

import json

import numpy as np
import pytest

from bolus.core import Acquisition, Assumed, Step
from bolus.errors import Code, FileError, MetadataError
from bolus.io import find_sidecar, json_text, read_sidecar, sidecar_values
from bolus.io.plausible import require_plausible
from bolus.io.sidecar import earlier_steps

FULL = Acquisition(
    echo_time_s=0.0301,
    repetition_time_s=1.243,
    flip_angle_deg=60.0,
    field_strength_t=3.0,
    contrast_agent="gadobutrol",
    contrast_dose_mmol_per_kg=Assumed(value=0.1, reason="not written down", source="protocol"),
    preload_dose_mmol_per_kg=0.0,
    injection_rate_ml_per_s=4.5,
    sequence="GRE-EPI",
    sources=(("echo_time_s", "dicom"), ("repetition_time_s", "user")),
)


def written(tmp_path, values) -> object:
    path = tmp_path / "s.json"
    path.write_text(json_text(values))
    return read_sidecar(path)


def test_every_field_comes_back_exactly(tmp_path):
    again = written(tmp_path, sidecar_values(FULL)).acquisition

    for name in Acquisition.__dataclass_fields__:
        if name != "sources":
            assert getattr(again, name) == getattr(FULL, name)


def test_sources_come_back_and_the_rest_is_from_the_sidecar(tmp_path):
    sources = dict(written(tmp_path, sidecar_values(FULL)).acquisition.sources)

    assert sources["echo_time_s"] == "dicom"
    assert sources["repetition_time_s"] == "user"
    assert sources["contrast_dose_mmol_per_kg"] == "assumed"
    assert sources["flip_angle_deg"] == "sidecar"


def test_reading_and_writing_again_changes_nothing(tmp_path):
    once = written(tmp_path, sidecar_values(FULL)).acquisition
    twice = written(tmp_path, sidecar_values(once)).acquisition

    assert twice == once


def test_excitation_and_frame_spacing_are_two_things(tmp_path):
    sidecar = written(tmp_path, sidecar_values(FULL, frame_step_s=2.5))

    assert sidecar.frame_step_s == 2.5
    assert sidecar.acquisition.repetition_time_s == 1.243


def test_a_short_repetition_time_is_not_taken_for_the_frame_spacing(tmp_path):
    sidecar = written(tmp_path, {"RepetitionTime": 0.004})

    assert sidecar.frame_step_s is None
    assert sidecar.acquisition.repetition_time_s == 0.004


def test_the_contrast_block_is_read(tmp_path):
    sidecar = written(tmp_path, {"Hematocrit": 0.41, "InjectionFrame": 12, "FieldStrength": 1.5})

    assert sidecar.haematocrit == 0.41
    assert sidecar.injection_frame == 12
    assert sidecar.acquisition.field_strength_t == 1.5


def test_frame_times_have_two_names(tmp_path):
    for key in ("VolumeTiming", "FrameTimesStart"):
        np.testing.assert_array_equal(written(tmp_path, {key: [0, 2, 5]}).frame_times_s, [0, 2, 5])


def test_two_lists_of_times_that_differ_are_refused(tmp_path):
    with pytest.raises(MetadataError) as caught:
        written(tmp_path, {"VolumeTiming": [0, 2], "FrameTimesStart": [0, 3]})

    assert caught.value.code is Code.METADATA_CONFLICT


@pytest.mark.parametrize("frame", [-1, 2.5])
def test_an_injection_frame_is_a_whole_number(tmp_path, frame):
    with pytest.raises(FileError, match="whole number"):
        written(tmp_path, {"InjectionFrame": frame})


def test_a_number_too_long_to_read_is_refused(tmp_path):
    path = tmp_path / "s.json"
    path.write_text('{"EchoTime": ' + "9" * 5000 + "}")

    with pytest.raises(FileError) as caught:
        read_sidecar(path)

    assert caught.value.code is Code.SIDECAR_INVALID


def test_text_that_is_not_utf8_is_refused(tmp_path):
    path = tmp_path / "s.json"
    path.write_bytes(b'{"ContrastAgentName": "\xff"}')

    with pytest.raises(FileError, match="UTF-8"):
        read_sidecar(path)


def test_the_sidecar_of_either_suffix_is_found(tmp_path):
    (tmp_path / "s.json").write_text(json.dumps({}))

    assert find_sidecar(tmp_path / "s.nii.gz") == tmp_path / "s.json"
    assert find_sidecar(tmp_path / "s.nii") == tmp_path / "s.json"
    assert find_sidecar(tmp_path / "t.nii") is None


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("echo_time_s", 0.025),
        ("echo_time_s", 0.0012),
        ("repetition_time_s", 0.0025),
        ("frame_step_s", 0.5),
        ("flip_angle_deg", 5),
        ("flip_angle_deg", 90),
        ("field_strength_t", 0.064),
        ("field_strength_t", 11.7),
        ("haematocrit", 0.25),
    ],
)
def test_numbers_that_protocols_really_have_pass(field, value):
    assert require_plausible(field, value) == value


def test_what_bolus_did_before_is_read_from_its_own_sidecar(tmp_path):
    steps = [{"function": "preprocess.x", "arguments": {"a": 1}, "source": "10.1/y"}]
    (tmp_path / "own.json").write_text(json.dumps({"Bolus": {"Steps": steps}}))
    (tmp_path / "other.json").write_text("{}")

    assert earlier_steps(read_sidecar(tmp_path / "own.json")) == (
        Step("preprocess.x", {"a": 1}, source="10.1/y"),
    )
    assert earlier_steps(read_sidecar(tmp_path / "other.json")) == ()


@pytest.mark.parametrize(
    "steps", ["text", [1], [{"function": 3}], [{"function": "f", "arguments": 1}]]
)
def test_a_list_of_steps_that_bolus_did_not_write_is_refused(tmp_path, steps):
    (tmp_path / "odd.json").write_text(json.dumps({"Bolus": {"Steps": steps}}))

    with pytest.raises(FileError, match="list its steps"):
        earlier_steps(read_sidecar(tmp_path / "odd.json"))
