"""What is written as DICOM is what was measured, where it was measured, and says what it is."""

import re
import shutil
import subprocess
from io import BytesIO

import numpy as np
import pytest
from dicom_out_phantom import AFFINES, SHAPE, by_world, labels, phantom, read_frames

from bolus import RESEARCH_USE
from bolus.core import QUANTITIES, Grid
from bolus.errors import BolusError, Code
from bolus.io.dicom_out_capture import captures
from bolus.io.dicom_out_codes import quantity_code, region_codes, unit_code
from bolus.io.dicom_out_frames import Frames
from bolus.io.dicom_out_map import parametric_map
from bolus.io.dicom_out_seg import segmentation, segments_of
from bolus.io.dicom_out_sr import RegionNumbers, measurement_report
from bolus.io.dicom_out_study import Study, dicom_bytes

pydicom = pytest.importorskip("pydicom")
pytest.importorskip("highdicom")

STUDY = Study.anonymous("ab" * 32, frame="dsc")
ORIENTATIONS = pytest.mark.parametrize("name", AFFINES)


def read_back(dataset):
    return pydicom.dcmread(BytesIO(dicom_bytes(dataset)))


def a_map(name="axial", key="ncbv"):
    return parametric_map(phantom(name, key), STUDY, number=9001, window=(0, 6))


def a_segmentation(name="axial"):
    return segmentation(labels(name), STUDY, number=9002, name="tumour", given=True)


def a_report(segments, maps):
    rows = [
        RegionNumbers(
            region=region,
            key=key,
            voxels=9,
            volume_ml=1.5,
            statistics={"mean": 1.25, "mean_std": 0.5, "low95": 0.25, "high95": float("nan")},
        )
        for region in ("whole tumour", "necrosis", "elsewhere")
        for key in ("ncbv", "psr")
    ]
    return measurement_report(
        rows, STUDY, number=9003, segmentations=[segments], maps=[maps], method="matched"
    )


def some_pictures(count=3):
    rng = np.random.default_rng(2)
    frames = Frames.of(phantom("axial").grid)
    pictures = [rng.integers(0, 255, (30, 40, 3), np.uint8) for _ in range(count)]
    return pictures, captures(pictures, STUDY, number=9004, frames=frames, name="nCBV")


@pytest.fixture(scope="module")
def objects():
    """One object of each kind."""
    maps, segments = a_map(), a_segmentation()
    return {
        "map": maps,
        "segmentation": segments,
        "report": a_report(segments, maps),
        "capture": some_pictures()[1][0],
    }


@ORIENTATIONS
def test_a_map_comes_back_bit_for_bit_where_it_was(name):
    image = phantom(name)

    pixels, affine = read_frames(read_back(a_map(name)))

    assert pixels.dtype == np.float32
    came, was = by_world(pixels, affine), by_world(image.values, image.grid.affine)
    assert came.keys() == was.keys()
    assert all(came[place].tobytes() == was[place].tobytes() for place in was)


@ORIENTATIONS
@pytest.mark.parametrize("made", [a_map, a_segmentation])
def test_frames_follow_each_other_along_the_normal_of_the_image_plane(name, made):
    dataset = read_back(made(name))
    cosines = np.array(
        dataset.SharedFunctionalGroupsSequence[0].PlaneOrientationSequence[0]
        .ImageOrientationPatient, float,
    )  # fmt: skip
    normal = np.cross(cosines[:3], cosines[3:])
    heights = [
        np.dot(np.array(f.PlanePositionSequence[0].ImagePositionPatient, float), normal)
        for f in dataset.PerFrameFunctionalGroupsSequence
    ]

    assert np.allclose(np.diff(heights[: SHAPE[2]]), -5.25)


@ORIENTATIONS
def test_segments_come_back_voxel_for_voxel_and_keep_empty_frames(name):
    import highdicom as hd

    drawn = labels(name)
    back = hd.seg.Segmentation.from_dataset(read_back(a_segmentation(name)))

    planes = back.get_volume(segment_numbers=[1, 2, 3])
    ras = np.diag([-1.0, -1.0, 1.0, 1.0]) @ planes.affine
    came = by_world(planes.array, ras)
    expected = np.stack([drawn.values == 1, drawn.values == 2, drawn.values > 0], axis=-1)
    was = by_world(expected.astype(np.uint8), drawn.grid.affine)
    assert came.keys() == was.keys()
    assert all((came[place] == was[place]).all() for place in was)
    assert int(back.NumberOfFrames) == 3 * SHAPE[2]


def test_the_reading_direction_is_left_back_and_feet():
    assert {name: Frames.of(phantom(name).grid).letters() for name in AFFINES} == {
        "axial": ("L", "P"),
        "axial of a scanner": ("L", "P"),
        "slices from above": ("L", "P"),
        "oblique": ("L", "P"),
        "sagittal": ("P", "F"),
        "sagittal, from the left": ("P", "F"),
        "coronal": ("L", "F"),
    }


def test_a_sheared_grid_is_refused():
    affine = np.diag([2.0, 2.0, 5.0, 1.0])
    affine[0, 2] = 0.4

    with pytest.raises(BolusError) as caught:
        Frames.of(Grid(shape=SHAPE, affine=affine))

    assert caught.value.code is Code.GRID_INVALID


@pytest.mark.parametrize("key", QUANTITIES)
def test_every_quantity_has_a_code_and_a_unit(key):
    from pydicom.sr._concepts_dict import concepts

    standard = {code: m for v in concepts["DCM"].values() for code, (m, _) in v.items()}
    quantity = QUANTITIES[key]
    code = quantity_code(quantity)

    assert unit_code(quantity.unit).scheme_designator == "UCUM"
    if quantity.dicom:
        assert (code.value, code.meaning) == (quantity.dicom, standard[quantity.dicom])
    else:
        assert (code.scheme_designator, code.value) == ("99BOLUS", key)


def test_an_unknown_unit_is_refused():
    with pytest.raises(BolusError) as caught:
        unit_code("furlong")

    assert caught.value.code is Code.QUANTITY_WRONG


def test_a_map_says_what_it_is_for_people_and_programs():
    dataset = read_back(a_map(key="srcbv"))
    mapping = dataset.SharedFunctionalGroupsSequence[0].RealWorldValueMappingSequence[0]
    concept, method = mapping.QuantityDefinitionSequence

    assert dataset.ContentQualification == "RESEARCH"
    assert dataset.ImageComments == RESEARCH_USE
    assert "RESEARCH USE" in dataset.SeriesDescription
    assert mapping.MeasurementUnitsCodeSequence[0].CodeValue == "[arb'U]"
    assert concept.ConceptCodeSequence[0].CodeValue == "126398"
    assert method.ConceptCodeSequence[0].CodeValue == "srcbv"
    assert (mapping.RealWorldValueSlope, mapping.RealWorldValueIntercept) == (1, 0)


def test_a_tumour_of_parts_gets_a_segment_of_the_whole():
    assert segments_of(a_segmentation()) == {"necrosis": 1, "hypervascular": 2, "whole tumour": 3}
    assert region_codes("necrosis")[1].value == "6574001"
    assert region_codes("hypervascular")[1].scheme_designator == "99BOLUS"


def test_the_report_holds_every_number_and_refers_to_its_segment(objects):
    import highdicom as hd

    back = hd.sr.srread(BytesIO(dicom_bytes(objects["report"])))
    groups = back.content.get_volumetric_roi_measurement_groups()
    plain = back.content.get_image_measurement_groups()

    assert [g.tracking_identifier for g in groups] == ["whole tumour", "necrosis"]
    assert [g.tracking_identifier for g in plain] == ["elsewhere"]
    assert groups[1].referenced_segment.referenced_sop_instance_uid == (
        objects["segmentation"].SOPInstanceUID
    )
    found = [(m.name.meaning, m.value, m.unit.value, m.derivation) for m in
             groups[0].get_measurements()]  # fmt: skip
    assert found[0][:3] == ("Relative Regional Blood Volume", 1.25, "{ratio}")
    assert [d.value for *_, d in found[:3]] == ["373098007", "mean_std", "low95"]
    assert len(found) == 2 * 4  # three numbers and the volume; NaN is left out
    assert back.ContentSequence[-1].TextValue == RESEARCH_USE


def test_pictures_keep_their_bytes_and_say_that_words_are_in_them():
    pictures, made = some_pictures()
    back = [read_back(item) for item in made]

    assert all((b.pixel_array == p).all() for b, p in zip(back, pictures, strict=True))
    assert [b.InstanceNumber for b in back] == [1, 2, 3]
    assert len({b.SeriesInstanceUID for b in back}) == 1
    assert {b.BurnedInAnnotation for b in back} == {"YES"}
    assert {b.ImageComments for b in back} == {RESEARCH_USE}


@pytest.mark.parametrize("kind", ["map", "segmentation", "report", "capture"])
def test_the_same_results_are_the_same_bytes(kind, objects):
    maps, segments = a_map(), a_segmentation()
    again = {
        "map": maps,
        "segmentation": segments,
        "report": a_report(segments, maps),
        "capture": some_pictures()[1][0],
    }

    assert dicom_bytes(again[kind]) == dicom_bytes(objects[kind])


def test_other_numbers_are_another_object():
    image = phantom("axial")
    changed = image.values.copy()
    changed[5, 5, 5] += 1
    other = parametric_map(
        type(image)(values=changed, grid=image.grid, quantity=image.quantity),
        STUDY, number=9001, window=(0, 6),
    )  # fmt: skip

    assert other.SOPInstanceUID != a_map().SOPInstanceUID
    assert re.fullmatch(r"2\.25\.[1-9]\d{0,38}", other.SOPInstanceUID)


@pytest.mark.parametrize("kind", ["map", "segmentation", "report", "capture"])
def test_no_object_names_anything_of_this_moment_or_machine(kind, objects):
    import datetime
    import getpass
    import socket

    content = dicom_bytes(objects[kind])
    today = datetime.datetime.now(tz=datetime.UTC).strftime("%Y%m%d")

    for word in (today, socket.gethostname(), f"/{getpass.getuser()}/"):
        assert word.encode() not in content


@pytest.mark.parametrize("kind", ["map", "segmentation", "report", "capture"])
@pytest.mark.pacs
def test_the_validator_of_dicom_finds_no_error(kind, objects, tmp_path):
    if shutil.which("dciodvfy") is None:
        pytest.skip("dciodvfy (Debian dicom3tools) is not installed")
    path = tmp_path / f"{kind}.dcm"
    path.write_bytes(dicom_bytes(objects[kind]))

    said = subprocess.run(["dciodvfy", path], capture_output=True, text=True, check=False).stderr

    assert [line for line in said.splitlines() if line.startswith("Error")] == []
