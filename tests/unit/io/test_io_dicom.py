"""Order, times, geometry, pixels and recognition of DICOM series."""

import sys
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ImplicitVRLittleEndian,
    JPEGLSLossless,
    RLELossless,
)

from bolus.errors import BolusError, Code
from bolus.io.dicom_contrast import contrast_settings, known_agent
from bolus.io.dicom_kind import SeriesFacts, classify
from bolus.io.dicom_scan import HeaderChild, scan_dicom
from bolus.io.dicom_series import list_series, read_dicom_series, read_image_of

sys.path.insert(0, str(Path(__file__).parents[2] / "reliability"))
import scanner_series as scanner


def volumes_of(folder: Path):
    """Return every series with the volumes of its images."""
    with HeaderChild() as child:
        return [
            (series, [read_image_of(series, image, child) for image in series.images])
            for series in list_series(scan_dicom(folder))
        ]


def only(folder: Path):
    ((series, (volume,)),) = volumes_of(folder)
    return series, volume


@pytest.mark.parametrize("vendor", scanner.VENDORS)
def test_three_tags_agree_without_the_instance_number(vendor, tmp_path):
    images, names = scanner.shuffled(scanner.VENDORS[vendor](scanner.look_of(vendor)), 5)
    scanner.write(tmp_path, images, names=names)

    _, volume = only(tmp_path)

    strong = [n for n in volume.order.agreed if n not in ("InstanceNumber", "frame number")]
    assert len(strong) >= 3
    if vendor != "enhanced":
        assert volume.order.disagreed == ("InstanceNumber",)
    assert np.array_equal(volume.values, scanner.expected(vendor))
    assert volume.values.dtype == (np.float32 if vendor == "philips" else np.int16)


@pytest.mark.parametrize("name", scanner.ORIENTATIONS)
def test_a_mosaic_gives_the_same_as_its_slices(name, tmp_path):
    look = scanner.look_of("siemens", orientation=scanner.ORIENTATIONS[name])
    scanner.write(tmp_path, scanner.mosaic(look))

    _, volume = only(tmp_path)

    assert np.array_equal(volume.values, scanner.PHANTOM)
    assert np.abs(volume.grid.affine - scanner.affine_ras(look)).max() < 1e-5
    assert volume.times.step_s == 1.5


def test_a_mosaic_that_does_not_say_its_normal_is_refused(tmp_path):
    images = scanner.mosaic(scanner.look_of("siemens"))
    for data in images:
        del data[0x0029, 0x1010]
    scanner.write(tmp_path, images)

    with pytest.raises(BolusError, match="mosaic") as caught:
        only(tmp_path)

    assert caught.value.code is Code.DICOM_HEADER


def test_the_clock_goes_on_past_midnight(tmp_path):
    look = scanner.look_of("siemens", start_s=86400 - 5.0)
    scanner.write(tmp_path, scanner.siemens(look))

    _, volume = only(tmp_path)

    assert np.array_equal(volume.values, scanner.PHANTOM)
    assert volume.times.step_s == 1.5


def test_irregular_times_are_kept(tmp_path):
    seconds = np.array([0, 2, 4, 6, 8, 14, 20, 26.0])
    images = scanner.canon(scanner.look_of("canon"))
    for data in images:
        time = int(data.AcquisitionNumber) - 1
        data.AcquisitionTime = scanner.clock(36000 + seconds[time])
        data.ContentTime = scanner.clock(36000.5 + seconds[time])
    scanner.write(tmp_path, images)

    _, volume = only(tmp_path)

    assert volume.times.step_s is None
    assert np.allclose(volume.times.seconds, seconds, atol=1e-6)


def test_times_of_slices_within_a_frame_are_known(tmp_path):
    scanner.write(tmp_path, scanner.siemens(scanner.look_of("siemens")))

    _, volume = only(tmp_path)

    assert volume.times.slice_times_s.tolist() == [0.0, 0.9, 0.3, 1.2, 0.6]


def test_a_file_that_takes_too_long_is_refused(tmp_path, monkeypatch):
    scanner.write(tmp_path, scanner.siemens(scanner.look_of("siemens"))[:1])
    monkeypatch.setattr("bolus.io.dicom_scan.SECONDS_PER_FILE", 0)

    with pytest.raises(BolusError, match="took more than 0 s") as caught:
        scan_dicom(tmp_path)

    assert caught.value.code is Code.DICOM_BOMB


def rle(data):
    data.compress(RLELossless, encoding_plugin="pydicom")


def jpeg_ls(data):
    data.compress(JPEGLSLossless)


def implicit(data):
    data.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian


def big_endian(data):
    data.file_meta.TransferSyntaxUID = ExplicitVRBigEndian
    data.PixelData = np.frombuffer(data.PixelData, "<u2").astype(">u2").tobytes()
    data["PixelData"].VR = "OW"


def deflated(data):
    data.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian


@pytest.mark.parametrize(
    "pack", [rle, jpeg_ls, implicit, big_endian, deflated], ids=lambda f: f.__name__
)
def test_every_way_of_storing_gives_the_same_values(pack, tmp_path):
    for number, data in enumerate(scanner.siemens(scanner.look_of("siemens"))):
        pack(data)
        syntax = data.file_meta.TransferSyntaxUID
        pydicom.dcmwrite(
            tmp_path / f"{number:03d}.dcm", data, enforce_file_format=True,
            implicit_vr=None if syntax.is_encapsulated else syntax.is_implicit_VR,
            little_endian=None if syntax.is_encapsulated else syntax.is_little_endian,
        )  # fmt: skip

    _, volume = only(tmp_path)

    assert np.array_equal(volume.values, scanner.PHANTOM)


def test_lossless_jpeg_gives_the_same_values(tmp_path):
    gdcm = pytest.importorskip("gdcm")
    plain = scanner.write(tmp_path / "plain", scanner.siemens(scanner.look_of("siemens")))
    packed = tmp_path / "packed"
    packed.mkdir()
    for path in sorted(plain.iterdir()):
        reader, writer = gdcm.ImageReader(), gdcm.ImageWriter()
        change = gdcm.ImageChangeTransferSyntax()
        reader.SetFileName(str(path))
        assert reader.Read()
        change.SetTransferSyntax(gdcm.TransferSyntax(gdcm.TransferSyntax.JPEGLosslessProcess14_1))
        change.SetInput(reader.GetImage())
        assert change.Change()
        writer.SetFileName(str(packed / path.name))
        writer.SetFile(reader.GetFile())
        writer.SetImage(change.GetOutput())
        assert writer.Write()

    _, volume = only(packed)

    assert np.array_equal(volume.values, scanner.PHANTOM)


def test_two_echoes_in_one_series_are_two_images(tmp_path):
    one = scanner.siemens(scanner.look_of("siemens", echo_ms=12.0))
    two = scanner.siemens(scanner.look_of("siemens", echo_ms=35.0), scanner.PHANTOM - 100)
    for data in two:
        data.SOPInstanceUID += ".2"
        data.file_meta.MediaStorageSOPInstanceUID = data.SOPInstanceUID
    scanner.write(tmp_path, [*one, *two])

    ((series, volumes),) = volumes_of(tmp_path)

    assert series.kind == "dsc"
    assert np.array_equal(volumes[0].values, scanner.PHANTOM)
    assert np.array_equal(volumes[1].values, scanner.PHANTOM - 100)


def test_phase_images_are_left_out(tmp_path):
    one = scanner.siemens(scanner.look_of("siemens"))
    two = scanner.siemens(scanner.look_of("siemens", image_type=("ORIGINAL", "PRIMARY", "P", "ND")))
    for data in two:
        data.SOPInstanceUID += ".2"
        data.file_meta.MediaStorageSOPInstanceUID = data.SOPInstanceUID
    scanner.write(tmp_path, [*one, *two])

    _, volume = only(tmp_path)

    assert np.array_equal(volume.values, scanner.PHANTOM)


def test_philips_scaling_that_differs_between_frames_is_undone(tmp_path):
    images = scanner.philips(scanner.look_of("philips"))
    for data in images:
        scale = 0.5 if int(data.TemporalPositionIdentifier) < 4 else 0.25
        data[0x2005, 0x100E].value = scale
    scanner.write(tmp_path, images)

    _, volume = only(tmp_path)

    factors = np.where(np.arange(8) < 3, 2 * 0.5, 2 * 0.25)
    assert np.allclose(volume.values, (scanner.PHANTOM * 2 + 10) / factors)
    assert any("scanner values" in note for note in volume.notes)


def test_a_series_is_read_without_a_dataset(tmp_path):
    scanner.write(tmp_path, scanner.ge(scanner.look_of("ge")))

    series = read_dicom_series(tmp_path, kind="dsc")

    assert np.array_equal(series.values, scanner.PHANTOM)
    assert series.time.uniform_step_s() == 1.5
    assert series.acquisition.require("echo_time_s") == 0.03
    assert dict(series.acquisition.sources)["time"] == "dicom: TriggerTime"


def test_a_folder_with_two_series_says_what_it_holds(tmp_path):
    scanner.write(tmp_path / "a", scanner.ge(scanner.look_of("ge")))
    scanner.write(tmp_path / "b", scanner.ge(scanner.look_of("ge", series=2)))

    with pytest.raises(BolusError, match="holds 2 dsc or dce series"):
        read_dicom_series(tmp_path)


FACTS = {
    "volumes": 60, "slices": 20, "orientations": 1, "echoes_ms": [30.0], "repetition_ms": 1500.0,
    "flips_deg": [60.0], "inversion_ms": None, "b_values": 0, "words": frozenset({"EP", "GR"}),
    "described": "", "dimensions": "2D", "agent": False, "colour": False,
}  # fmt: skip
ONE = {"volumes": 1, "words": frozenset({"GR"}), "echoes_ms": [3.0], "repetition_ms": 1900.0}


@pytest.mark.parametrize(
    ("kind", "changes"),
    [
        ("dsc", {}),
        ("dce", {"echoes_ms": [1.5], "repetition_ms": 4.0, "words": frozenset({"GR"})}),
        ("dwi", {"b_values": 3}),
        ("dwi", {"described": "ep2d_diff_3scan", "words": frozenset({"EP", "SE"})}),
        ("skip", {"described": "bold_rest"}),
        ("skip", {"described": "RAPID rCBV".lower()}),
        ("skip", {"words": frozenset({"DERIVED"})}),
        ("skip", {"colour": True}),
        ("skip", {"echoes_ms": []}),
        ("skip", {"volumes": 3}),
        ("dsc", {"words": frozenset({"EP", "SE"}), "described": "se_perfusion"}),
        ("skip", {"words": frozenset({"EP", "SE"})}),
        ("T1w", {**ONE, "inversion_ms": 900.0}),
        ("T1ce", {**ONE, "inversion_ms": 900.0, "agent": True}),
        ("T1ce", {**ONE, "inversion_ms": 900.0, "described": "t1 mprage post gd"}),
        ("spgr", {**ONE, "repetition_ms": 5.0}),
        ("T2w", {**ONE, "words": frozenset({"SE"}), "echoes_ms": [95.0], "repetition_ms": 5000.0}),
        ("FLAIR", {**ONE, "words": frozenset({"SE", "IR"}), "echoes_ms": [95.0],
                   "inversion_ms": 2500.0, "repetition_ms": 9000.0}),
        ("skip", {**ONE, "orientations": 3}),
        ("skip", {**ONE, "described": "localizer"}),
    ],
)  # fmt: skip
def test_series_are_recognised_by_their_physics(kind, changes):
    found, reason = classify(SeriesFacts(**{**FACTS, **changes}))

    assert found == kind
    assert reason


@pytest.mark.parametrize(
    ("text", "agent"),
    [("Gadavist 7.5ml", "gadobutrol"), ("DOTAREM", "gadoterate"), ("Multihance", "gadobenate"),
     ("yes", None), ("Gadovist or Dotarem", None), ("", None)],
)  # fmt: skip
def test_agents_are_known_by_name(text, agent):
    assert known_agent(text) == agent


def about(**changes):
    plain = {"agent": "Gadovist", "dose_ml": 7.5, "volume_ml": None, "weight_kg": 75.0,
             "flow_ml_per_s": 5.0}  # fmt: skip
    return {**plain, **changes}


def test_a_dose_is_volume_times_molarity_over_weight():
    found, notes = contrast_settings(about())

    assert found == {
        "contrast_agent": "gadobutrol", "contrast_dose_mmol_per_kg": 0.1,
        "injection_rate_ml_per_s": 5.0,
    }  # fmt: skip
    assert notes == []


@pytest.mark.parametrize("missing", ["weight_kg", "dose_ml", "agent"])
def test_without_one_of_them_no_dose_is_stated(missing):
    found, _ = contrast_settings(about(**{missing: "" if missing == "agent" else None}))

    assert "contrast_dose_mmol_per_kg" not in found


def test_an_impossible_dose_is_not_stated():
    found, notes = contrast_settings(about(weight_kg=7.5))

    assert "contrast_dose_mmol_per_kg" not in found
    assert "cannot be" in notes[0]
