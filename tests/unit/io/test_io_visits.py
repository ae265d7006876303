"""Days of visits, what was scanned beside perfusion, and clinical tables, from a dataset."""

import numpy as np
import pytest

from bolus import io
from bolus.core import Grid, SessionKey
from bolus.errors import FileError, MetadataError
from bolus.io.visits import find_visit_images, read_clinical, read_visit_days

A, B, C = (SessionKey("01", name) for name in "abc")
GRID = Grid(shape=(2, 2, 1), affine=np.eye(4))


def sessions(root, text):
    folder = root / "sub-01"
    folder.mkdir(exist_ok=True)
    (folder / "sub-01_sessions.tsv").write_text(text.replace(" ", "\t"))


def days(root, keys=(A, B)):
    return {visit.key.session: visit.day for visit in read_visit_days(root, keys)}


def test_days_count_from_the_first_visit_and_order_the_visits(tmp_path):
    sessions(tmp_path, "session_id day scanner rescan\nses-a 120 x false\nses-b 20 y true\n")
    visits = read_visit_days(tmp_path, (A, B))

    assert [(v.key, v.day, v.scanner, v.repeat) for v in visits] == [
        (B, 0, "y", True), (A, 100, "x", False),
    ]  # fmt: skip


def test_dates_of_the_sessions_or_of_their_scans_count_as_well(tmp_path):
    sessions(tmp_path, "session_id acq_time\nses-a 1899-12-25T23:50:00\nses-b n/a\n")
    (tmp_path / "sub-01" / "ses-b").mkdir()
    scans = tmp_path / "sub-01" / "ses-b" / "sub-01_ses-b_scans.tsv"
    scans.write_text("filename\tacq_time\nx.nii.gz\t1900-01-02T10:00:00Z\ny\t1900-01-01\n")

    assert days(tmp_path) == {"a": 0, "b": 7}


def test_days_since_treatment_are_kept_and_serve_where_nothing_else_is_known(tmp_path):
    sessions(tmp_path, "session_id days_since_surgery days_since_radiotherapy\n"
             "ses-a -3 n/a\nses-b 60 12\n")  # fmt: skip
    visits = read_visit_days(tmp_path, (A, B))

    assert [(v.day, v.since_surgery, v.since_radiotherapy) for v in visits] == [
        (0, -3, None), (63, 60, 12),
    ]  # fmt: skip


def test_a_visit_without_a_day_is_last_and_says_so(tmp_path):
    sessions(tmp_path, "session_id day\nses-b 5\nses-c 9\n")

    assert days(tmp_path, (A, B, C)) == {"b": 0, "c": 4, "a": None}
    assert days(tmp_path / "nothing", (A,)) == {"a": None}


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ("session_id day\nses-a soon\nses-b 3\n", "'soon' is no number of days"),
        ("session_id acq_time\nses-a yesterday\nses-b n/a\n", "'yesterday' is no date"),
        ("session_id day acq_time\nses-a 0 1900-01-01\nses-b 90 1900-01-31\n",
         "90 days after sub-01_ses-a by its day and 30 by its date"),
    ],
)  # fmt: skip
def test_what_cannot_be_right_is_refused_by_name(tmp_path, table, words):
    sessions(tmp_path, table)

    with pytest.raises(MetadataError, match=words):
        read_visit_days(tmp_path, (A, B))


def image(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    io.write_volume(path, np.ones(GRID.shape), GRID)


def test_images_beside_perfusion_are_found_by_kind(tmp_path):
    for name in ("anat/sub-01_ses-a_FLAIR", "anat/sub-01_ses-a_ce-gadolinium_T1w",
                 "anat/sub-01_ses-a_T1w", "dwi/sub-01_ses-a_dwi"):  # fmt: skip
        image(tmp_path / A.folder / f"{name}.nii.gz")
    image(tmp_path / "derivatives" / "published" / A.folder / "dwi" / "sub-01_ses-a_ADC.nii.gz")
    image(tmp_path / "derivatives" / "truth" / A.folder / "dwi" / "sub-01_ses-a_ADC.nii.gz")
    found = find_visit_images(tmp_path, A)

    assert list(found.structural) == ["T1w after agent", "T1w", "FLAIR"]
    assert found.structural["T1w"].name == "sub-01_ses-a_T1w.nii.gz"
    assert found.adc.parts[-5:-3] == ("published", "sub-01")
    assert found.dwi.name == "sub-01_ses-a_dwi.nii.gz"
    assert find_visit_images(tmp_path, B).adc is None


def test_two_adc_maps_are_named_and_none_is_taken(tmp_path):
    for run in (1, 2):
        image(tmp_path / A.folder / "dwi" / f"sub-01_ses-a_run-{run}_ADC.nii.gz")
    found = find_visit_images(tmp_path, A)

    assert found.adc is None
    assert found.unclear[0].startswith("2 ADC maps (sub-01_ses-a_run-1")


def test_clinical_tables_are_joined_by_patient_and_an_extra_one_wins(tmp_path):
    (tmp_path / "participants.tsv").write_text("participant_id\tage\tkps\nsub-01\t54\tn/a\n")
    (tmp_path / "outcomes.tsv").write_text("participant_id\tsurvival_days\n01\t300\n02\t20\n")
    (tmp_path / "more.tsv").write_text("participant_id\tage\nsub-01\t55\n")

    rows, paths = read_clinical(tmp_path, tmp_path / "more.tsv")

    assert rows == {"01": {"age": "55", "survival_days": "300"}, "02": {"survival_days": "20"}}
    assert [path.name for path in paths] == ["participants.tsv", "outcomes.tsv", "more.tsv"]


@pytest.mark.parametrize(
    ("text", "error", "words"),
    [
        ("subject\tage\n01\t5\n", FileError, "expected participant_id"),
        ("participant_id\tage\nsub-01\t5\n01\t6\n", FileError, "two rows of sub-01"),
        ("participant_id\tage\n01\t6\n", MetadataError, "age of sub-01 is '6'.*says '5'"),
    ],
)
def test_tables_that_contradict_themselves_or_each_other_are_refused(tmp_path, text, error, words):
    (tmp_path / "participants.tsv").write_text("participant_id\tage\n01\t5\n")
    (tmp_path / "clinical.tsv").write_text(text)

    with pytest.raises(error, match=words):
        read_clinical(tmp_path)
