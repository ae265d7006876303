"""NIfTI reading and writing on good files: what comes back is what was there."""

import json
import warnings

import nibabel as nib
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bolus.core import Acquisition, Assumed, Grid
from bolus.errors import Code, FileError, GeometryError, QualityWarning
from bolus.io import read_image, read_labels, read_mask, read_series, second_echo_of, write_volume

AFFINE = np.array([[-1.9, 0.1, 0, 20], [0.1, 1.9, 0.2, -31], [0, -0.3, 4.9, 7], [0, 0, 0, 1]])
SHAPE = (5, 4, 3)
GRID = Grid(shape=SHAPE, affine=AFFINE)


def volume(*shape: int) -> np.ndarray:
    return np.random.default_rng(3).normal(100, 20, shape or SHAPE).astype(np.float32)


def scanner_file(path, values, *, slope=1.0, intercept=0.0, step_s=1.5, affine=AFFINE):
    """A file as nibabel writes it, with this scaling."""
    image = nib.Nifti1Image(values, affine)
    image.header.set_xyzt_units("mm", "sec")
    if values.ndim == 4:
        image.header.set_zooms((*image.header.get_zooms()[:3], step_s))
    image.header.set_slope_inter(slope, intercept)
    nib.save(image, path)
    return path


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz"])
def test_a_volume_written_and_read_is_the_same(tmp_path, name):
    write_volume(tmp_path / name, volume(), GRID)

    values, grid = read_image(tmp_path / name)

    np.testing.assert_array_equal(values, volume())
    assert grid.distance_mm(GRID) < 1e-4


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    sizes=st.tuples(*[st.floats(0.5, 10)] * 3),
    turn=st.floats(-0.7, 0.7),
    origin=st.tuples(*[st.floats(-200, 200)] * 3),
    flip=st.sampled_from([1, -1]),
)
def test_any_geometry_survives_writing_and_reading(tmp_path, sizes, turn, origin, flip):
    rotation = np.array(
        [[np.cos(turn), -np.sin(turn), 0], [np.sin(turn), np.cos(turn), 0], [0, 0, 1]]
    )
    affine = np.eye(4)
    affine[:3, :3] = rotation @ np.diag([flip * sizes[0], sizes[1], sizes[2]])
    affine[:3, 3] = origin
    grid = Grid(shape=SHAPE, affine=affine)

    write_volume(tmp_path / "a.nii", volume(), grid)

    assert read_image(tmp_path / "a.nii")[1].distance_mm(grid) < 1e-3


def test_nibabel_reads_the_same_values_affine_codes_and_units(tmp_path):
    write_volume(tmp_path / "a.nii.gz", volume(*SHAPE, 6), GRID, frame_step_s=1.7, key="signal")

    image = nib.load(tmp_path / "a.nii.gz")

    np.testing.assert_array_equal(np.asarray(image.dataobj), volume(*SHAPE, 6))
    np.testing.assert_allclose(image.affine, AFFINE, atol=1e-5)
    assert image.header.get_xyzt_units() == ("mm", "sec")
    assert image.header.get_zooms()[3] == pytest.approx(1.7)
    assert int(image.header["sform_code"]) == 1
    assert image.header.get_data_dtype() == np.float32
    assert image.header.get_intent()[2] == "signal"


def test_a_qform_is_written_where_the_affine_has_no_shear(tmp_path):
    straight = Grid(shape=SHAPE, affine=np.diag([-2.0, 2.0, 5.0, 1.0]))
    write_volume(tmp_path / "straight.nii", volume(), straight)
    write_volume(tmp_path / "sheared.nii", volume(), GRID)

    header = nib.load(tmp_path / "straight.nii").header

    np.testing.assert_allclose(header.get_qform(), straight.affine, atol=1e-5)
    assert int(header["qform_code"]) == 1
    assert int(nib.load(tmp_path / "sheared.nii").header["qform_code"]) == 0


def test_equal_content_gives_equal_bytes_under_any_name(tmp_path):
    for name in ("a.nii.gz", "b.nii.gz"):
        write_volume(tmp_path / name, volume(), GRID)

    content = (tmp_path / "a.nii.gz").read_bytes()
    assert content == (tmp_path / "b.nii.gz").read_bytes()
    assert content[3] == 0  # gzip flags: no file name
    assert content[4:8] == bytes(4)  # gzip time


def test_masks_stay_whole_numbers(tmp_path):
    inside = volume() > 100
    write_volume(tmp_path / "m.nii.gz", inside, GRID)

    assert nib.load(tmp_path / "m.nii.gz").get_data_dtype() == np.uint8
    np.testing.assert_array_equal(read_mask(tmp_path / "m.nii.gz", name="m").values, inside)


def test_a_mask_of_zero_and_255_is_a_mask(tmp_path):
    inside = volume() > 100
    write_volume(tmp_path / "m.nii.gz", inside.astype(np.uint8) * 255, GRID)

    np.testing.assert_array_equal(read_mask(tmp_path / "m.nii.gz", name="m").values, inside)


def test_a_name_that_is_not_nifti_is_refused(tmp_path):
    with pytest.raises(FileError) as caught:
        write_volume(tmp_path / "a.png", volume(), GRID)

    assert caught.value.code is Code.ARGUMENT_INVALID


def test_values_of_another_grid_are_not_written(tmp_path):
    with pytest.raises(GeometryError):
        write_volume(tmp_path / "a.nii", volume(2, 2, 2), GRID)

    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("frames", [2, 15, 16, 17, 40])
def test_series_values_are_those_of_nibabel(tmp_path, frames):
    stored = np.random.default_rng(1).integers(0, 4000, (*SHAPE, frames)).astype(np.int16)
    path = scanner_file(tmp_path / "s.nii.gz", stored, slope=0.25, intercept=-3)

    series = read_series(path)

    expected = nib.load(path).get_fdata(dtype=np.float32)
    np.testing.assert_allclose(series.values, expected, rtol=1e-6)
    assert series.values[0, 0, 0].flags.c_contiguous  # curves lie together


def test_a_series_knows_its_files_and_their_hashes(tmp_path):
    path = scanner_file(tmp_path / "s.nii.gz", volume(*SHAPE, 8))
    (tmp_path / "s.json").write_text(json.dumps({"EchoTime": 0.03}))

    inputs = dict(read_series(path).provenance.inputs)

    assert set(inputs) == {"s.nii.gz", "s.json"}
    assert all(len(digest) == 64 for digest in inputs.values())


def test_the_user_wins_over_the_sidecar_and_the_sidecar_over_the_header(tmp_path):
    path = scanner_file(tmp_path / "s.nii.gz", volume(*SHAPE, 8), step_s=1.5)
    (tmp_path / "s.json").write_text(json.dumps({"EchoTime": 0.03, "FlipAngle": 60}))

    series = read_series(path, given=Acquisition(echo_time_s=0.045))

    sources = dict(series.acquisition.sources)
    assert series.acquisition.echo_time_s == 0.045
    assert series.acquisition.flip_angle_deg == 60
    assert series.acquisition.repetition_time_s == 1.5
    assert sources["echo_time_s"] == "user"
    assert sources["flip_angle_deg"] == "sidecar"
    assert sources["repetition_time_s"] == "header"
    assert sources["time"] == "header"


def test_given_times_win_over_everything(tmp_path):
    path = scanner_file(tmp_path / "s.nii.gz", volume(*SHAPE, 4))
    seconds = np.array([0.0, 1.0, 3.0, 6.0])

    series = read_series(path, frame_times_s=seconds)

    np.testing.assert_array_equal(series.time.seconds, seconds)


def test_a_repetition_time_does_not_replace_irregular_times(tmp_path):
    path = scanner_file(tmp_path / "s.nii.gz", volume(*SHAPE, 4))
    (tmp_path / "s.json").write_text(json.dumps({"VolumeTiming": [0, 1, 3, 6]}))

    series = read_series(path, given=Acquisition(repetition_time_s=1.0))

    assert series.time.seconds.tolist() == [0, 1, 3, 6]
    assert series.acquisition.repetition_time_s == 1.0


def test_a_header_of_exactly_one_second_is_shown_as_an_assumption(tmp_path):
    path = scanner_file(tmp_path / "s.nii.gz", volume(*SHAPE, 4), step_s=1.0)

    value = read_series(path).acquisition.repetition_time_s

    assert isinstance(value, Assumed)
    assert value.value == 1.0


def test_another_spacing_in_the_header_is_flagged(tmp_path):
    path = scanner_file(tmp_path / "s.nii.gz", volume(*SHAPE, 4), step_s=2.5)

    with pytest.warns(QualityWarning, match=r"2\.5 s apart, the stated times 1\.5 s"):
        series = read_series(path, given=Acquisition(repetition_time_s=1.5))

    assert series.time.uniform_step_s() == pytest.approx(1.5)


def test_an_image_that_does_not_say_left_is_flagged(tmp_path):
    image = nib.Nifti1Image(volume(*SHAPE, 4), None)
    image.header.set_xyzt_units("mm", "sec")
    image.header.set_zooms((2, 2, 5, 1.5))
    nib.save(image, tmp_path / "s.nii")

    with pytest.warns(QualityWarning, match="which side is left"):
        read_series(tmp_path / "s.nii")


def test_microns_named_as_such_are_converted(tmp_path):
    image = nib.Nifti1Image(volume(), np.diag([2000.0, 2000.0, 5000.0, 1.0]))
    image.header.set_xyzt_units("micron", "sec")
    nib.save(image, tmp_path / "a.nii")

    assert read_image(tmp_path / "a.nii")[1].voxel_sizes_mm == pytest.approx((2, 2, 5))


def test_nifti_2_is_read(tmp_path):
    image = nib.Nifti2Image(volume(*SHAPE, 4), AFFINE)
    image.header.set_xyzt_units("mm", "sec")
    image.header.set_zooms((*image.header.get_zooms()[:3], 1.5))
    nib.save(image, tmp_path / "s.nii.gz")

    series = read_series(tmp_path / "s.nii.gz")

    np.testing.assert_array_equal(series.values, volume(*SHAPE, 4))
    np.testing.assert_allclose(series.grid.affine, AFFINE)


def test_labels_take_their_names_from_the_table_beside(tmp_path):
    labels = np.zeros(SHAPE, np.int16)
    labels[0], labels[1] = 1, 4
    write_volume(tmp_path / "x_dseg.nii.gz", labels, GRID)
    (tmp_path / "x_dseg.tsv").write_text("index\tname\n1\tcore\n2\toedema\n")

    found = read_labels(tmp_path / "x_dseg.nii.gz", grid=GRID)

    assert dict(found.names) == {1: "core", 2: "oedema", 4: "label-4"}
    assert found.mask("core").count == 12


@pytest.mark.parametrize(
    ("values", "words"), [(0.5, "whole numbers"), (-1, "-1 to 0"), (40000, "32767")]
)
def test_what_is_no_label_is_refused(tmp_path, values, words):
    labels = np.zeros(SHAPE, np.float32)
    labels[0] = values
    write_volume(tmp_path / "x.nii", labels, GRID)

    with pytest.raises(FileError, match=words):
        read_labels(tmp_path / "x.nii")


def test_the_second_echo_is_found_beside_the_first(tmp_path):
    for echo in (1, 2):
        (tmp_path / f"sub-1_echo-{echo}_dsc.nii.gz").touch()

    assert second_echo_of(tmp_path / "sub-1_echo-1_dsc.nii.gz").name == "sub-1_echo-2_dsc.nii.gz"
    assert second_echo_of(tmp_path / "sub-1_echo-2_dsc.nii.gz") is None
    assert second_echo_of(tmp_path / "sub-1_dsc.nii.gz") is None


@pytest.mark.reference
def test_real_series_are_read_as_nibabel_reads_them(reference_data):
    path = reference_data / "data/rocketship_p19/bbb_p19_downsample_x3y3/Dynamic_t1w.nii"

    series = read_series(path, given=Acquisition(repetition_time_s=15.4))

    image = nib.load(path)
    np.testing.assert_array_equal(series.values, image.get_fdata(dtype=np.float32))
    np.testing.assert_allclose(series.grid.affine, image.affine)


@pytest.mark.reference
def test_the_mask_of_a_real_exam_lies_on_its_image(reference_data):
    folder = reference_data / "data/osipi_jbja_aif_demo"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        values, grid = read_image(folder / "MCAsin_anon.nii.gz")
        mask = read_mask(folder / "brain_mask_3d_anon.nii.gz", name="brain", grid=grid)

    assert mask.count == 101_422  # counted with nibabel
    assert values.shape == grid.shape
