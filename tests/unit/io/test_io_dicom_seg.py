"""Labels of DICOM SEG objects: where they lie, what is on top, and what is refused."""

import hashlib

import numpy as np
import pytest
from dicom_out_phantom import AFFINES, SHAPE, by_world, labels

pytest.importorskip("highdicom")

from bolus.core import Grid
from bolus.errors import BolusError, Code
from bolus.io.dicom_out_seg import segmentation
from bolus.io.dicom_out_study import Study, dicom_bytes
from bolus.io.dicom_seg import is_segmentation, read_segmentation

STUDY = Study.anonymous(hashlib.sha256(b"seg").hexdigest(), frame="dsc")


def written(tmp_path, name="axial", change=None):
    dataset = segmentation(labels(name), STUDY, number=1, name="tumour", given=True)
    if change is not None:
        change(dataset)
    (tmp_path / "seg.dcm").write_bytes(dicom_bytes(dataset))
    return tmp_path / "seg.dcm"


def without_empty_frames(dataset):
    """Drop the frames without a label, as most programs do; in another order too."""
    bits = dataset.pixel_array
    kept = [n for n in range(len(bits)) if bits[n].any()][::-1]
    groups = dataset.PerFrameFunctionalGroupsSequence
    dataset.PerFrameFunctionalGroupsSequence = [groups[n] for n in kept]
    dataset.NumberOfFrames = len(kept)
    packed = np.packbits(bits[kept].astype(np.uint8).ravel(), bitorder="little").tobytes()
    dataset.PixelData = packed + b"\0" * (len(packed) % 2)


@pytest.mark.parametrize("name", sorted(AFFINES))
@pytest.mark.parametrize("change", [None, without_empty_frames], ids=["whole", "sparse"])
def test_segments_lie_where_they_were_drawn(tmp_path, name, change):
    drawn = labels(name)

    found = read_segmentation(written(tmp_path, name, change), drawn.grid)

    assert np.array_equal(found.values, drawn.values)
    assert found.names == drawn.names  # "whole tumour" lies below its parts


def test_without_an_image_the_frames_make_the_grid(tmp_path):
    drawn = labels("oblique")

    found = read_segmentation(written(tmp_path, "oblique", without_empty_frames))

    ours, theirs = (
        {p: v[0] for p, v in by_world(m.values, m.grid.affine).items() if v[0]}
        for m in (found, drawn)
    )
    assert ours == theirs


def test_a_finer_image_gets_the_label_by_nearest_neighbour(tmp_path):
    drawn = labels("axial")
    fine = Grid(
        shape=(SHAPE[0] * 2, SHAPE[1] * 2, SHAPE[2]),
        affine=drawn.grid.affine @ np.diag([0.5, 0.5, 1, 1]),
    )

    found = read_segmentation(written(tmp_path), fine)

    volumes = [m.foreground.volume_ml for m in (found, drawn)]
    assert volumes[0] == pytest.approx(volumes[1], rel=0.1)


def shorter(dataset):
    dataset.PixelData = dataset.PixelData[:-40]


def elsewhere(dataset):
    for group in dataset.PerFrameFunctionalGroupsSequence:
        position = group.PlanePositionSequence[0].ImagePositionPatient
        position[0] = float(position[0]) + 500


def one_beside(dataset):
    groups = dataset.PerFrameFunctionalGroupsSequence
    position = groups[2].PlanePositionSequence[0].ImagePositionPatient
    position[0] = float(position[0]) + 5


def more_frames(dataset):
    dataset.NumberOfFrames = 60_000


def no_segments(dataset):
    dataset.SegmentSequence = []


@pytest.mark.parametrize(
    ("change", "code", "words"),
    [
        (shorter, Code.DICOM_HEADER, "bytes for"),
        (elsewhere, Code.MASK_EMPTY, "nothing of the segmentation"),
        (one_beside, Code.DICOM_HEADER, "above each other"),
        (more_frames, Code.DICOM_HEADER, "promises 60000 frames"),
        (no_segments, Code.DICOM_HEADER, "0 segments"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_what_is_wrong_is_named(tmp_path, change, code, words):
    path = written(tmp_path, change=change)

    with pytest.raises(BolusError, match=words) as caught:
        read_segmentation(path, labels("axial").grid)

    assert caught.value.code is code


@pytest.mark.parametrize("kept", [100, 400, 2000])
def test_a_file_cut_short_is_damaged(tmp_path, kept):
    path = written(tmp_path)
    path.write_bytes(path.read_bytes()[:kept])

    with pytest.raises(BolusError) as caught:
        read_segmentation(path)

    assert caught.value.code in (Code.DICOM_DAMAGED, Code.DICOM_HEADER, Code.DICOM_UNSUPPORTED)


def test_what_is_no_segmentation_is_known_as_such(tmp_path):
    (tmp_path / "a.txt").write_text("x" * 500)

    assert is_segmentation(written(tmp_path))
    assert not is_segmentation(tmp_path / "a.txt")
