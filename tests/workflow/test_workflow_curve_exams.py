"""Curves of a user's patients: what is read, what is left out, and what a table may say."""

import math
import shutil

import numpy as np
import pytest
import tiny_codes
from tiny_codes import FOLDER, NAME

from bolus import io
from bolus.core import CURVE_REGIONS, Grid, LabelMap
from bolus.errors import BolusError, Code, FileError, MetadataError
from bolus.io.maps import read_map
from bolus.workflows.cohort import run_cohort
from bolus.workflows.config import config_with, parse_config
from bolus.workflows.curve_exams import (
    find_curve_exams,
    read_curve_cohort,
    read_curve_exam,
    tumour_parts,
)
from bolus.workflows.curve_patients import curve_patient

QUICK = parse_config(
    """
    dsc.flow_method = "osvd"
    dsc.leakage_correction = "none"
    """
)
PARTICIPANTS = "participant_id\tage\tsex\tidh\tgrade\tsite\nsub-01\t52\tF\tmutant\t3\tnorth\n"


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    root = tiny_codes.write_dataset(tmp_path_factory.mktemp("data"), tmp_path_factory.mktemp("s"))
    run_cohort(root, root / "derivatives" / "bolus", QUICK)
    (root / "participants.tsv").write_text(PARTICIPANTS)
    return root


@pytest.fixture
def dataset(done, tmp_path):
    return shutil.copytree(done, tmp_path / "data")


def found(dataset):
    return find_curve_exams(dataset, dataset / "derivatives" / "bolus")


def dsc(dataset):
    return dataset / "derivatives" / "bolus" / FOLDER / "dsc"


def test_an_exam_has_the_curves_of_its_tumour_and_what_is_known(done):
    read = read_curve_cohort(done, found(done), QUICK)

    (exam,) = read.cohort.exams
    assert read.left_out == ()
    assert (exam.key.subject, exam.site, exam.sex, exam.age_years) == ("01", "north", "female", 52)
    assert dict(exam.labels) == {"idh": "mutant", "grade": "3"}
    rows = dict(zip(CURVE_REGIONS, exam.regions, strict=True))
    assert np.isnan(rows["nonenhancing"]).all()  # not drawn in this dataset
    for name in ("enhancing", "oedema", "whole", "aif"):
        assert np.isfinite(rows[name]).all()
    np.testing.assert_allclose(exam.voxels.mean(axis=0), rows["whole"], rtol=1e-3)

    def drop(curve):
        return 1 - curve[5:].min() / curve[2:8].mean()

    assert drop(rows["aif"]) > 2 * drop(rows["whole"]) > 2 * drop(exam.reference)


def test_ncbv_is_the_mean_of_its_map_where_the_tumour_enhances(done):
    exam = read_curve_cohort(done, found(done), QUICK).cohort.exams[0]
    names = next(dsc(done).glob("perf/*_ncbv.nii.gz"))
    drawn = io.read_labels(dsc(done) / "anat" / f"{NAME}_space-dsc_seg-tumour_dseg.nii.gz")
    inside = read_map(names).values[drawn.mask("enhancing tumour").values]
    assert exam.ncbv == pytest.approx(float(np.nanmean(inside)))


def test_few_voxels_are_drawn_the_same_every_time(done):
    (files,) = found(done)
    first, second = (read_curve_exam(files, QUICK, voxels=50) for _ in range(2))
    assert first.voxels.shape[0] == 50
    np.testing.assert_array_equal(first.voxels, second.voxels)
    assert math.isnan(first.age_years)
    assert dict(first.labels) == {}


def test_every_file_that_decides_is_named(done):
    names = {path.name for path in found(done)[0].present()}
    assert f"{NAME}_dsc.nii.gz" in names
    assert f"{NAME}_dsc.json" in names
    assert any(name.endswith("_ncbv.nii.gz") for name in names)
    assert any(name.endswith("aif.tsv") for name in names)


@pytest.mark.parametrize("pattern", ["perf/*_aif.tsv", "anat/*whitematter_mask.nii.gz"])
def test_an_altered_result_leaves_the_session_out(dataset, pattern):
    path = next(dsc(dataset).glob(pattern))
    path.write_bytes(path.read_bytes() + b"\n")
    (files,) = found(dataset)
    assert "receipt" in files.missing
    with pytest.raises(FileError) as caught:
        read_curve_cohort(dataset, [files], QUICK)
    assert caught.value.code is Code.DATASET_INVALID
    assert "bolus run" in caught.value.mend


def test_a_dataset_that_was_not_run_says_so(dataset):
    shutil.rmtree(dataset / "derivatives" / "bolus")
    with pytest.raises(FileError) as caught:
        read_curve_cohort(dataset, found(dataset), QUICK)
    assert "not finished" in caught.value.what


def test_a_word_that_nobody_knows_names_the_table_and_the_patient(dataset):
    (dataset / "participants.tsv").write_text(PARTICIPANTS.replace("mutant", "perhaps"))
    with pytest.raises(MetadataError) as caught:
        read_curve_cohort(dataset, found(dataset), QUICK)
    assert "participants.tsv" in caught.value.where
    assert "sub-01" in caught.value.where


def test_another_column_can_be_the_label(dataset):
    (dataset / "participants.tsv").write_text("participant_id\tresponse\nsub-01\tgood\n")
    config = config_with(QUICK, "train", {"label": "response"})
    exam = read_curve_cohort(dataset, found(dataset), config).cohort.exams[0]
    assert dict(exam.labels) == {"response": "good"}


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ({"idh1": "IDH1 p.R132H"}, {"idh": "mutant"}),
        ({"idh": "Mutated (NOS)"}, {"idh": "mutant"}),
        ({"idh": "wild type"}, {"idh": "wildtype"}),
        ({"idh": "WT"}, {"idh": "wildtype"}),
        ({"idh": "NOS"}, {}),
        ({"idh": "unknown", "grade": "n/a"}, {}),
        ({"codeletion_1p19q": "Co-deletion"}, {"codeleted": "yes"}),
        ({"1p19q": "non-codeleted"}, {"codeleted": "no"}),
        ({"codeleted": "intact"}, {"codeleted": "no"}),
        ({"codeleted": "true"}, {"codeleted": "yes"}),
        ({"who_grade": "WHO grade III"}, {"grade": "3"}),
        ({"grade": "4"}, {"grade": "4"}),
    ],
)
def test_words_of_tables_become_ours(row, expected):
    assert dict(curve_patient(row).labels) == expected


@pytest.mark.parametrize("row", [{"idh": "maybe"}, {"grade": "5"}, {"codeleted": "partial"}])
def test_words_that_are_none_of_ours_are_refused(row):
    with pytest.raises(BolusError) as caught:
        curve_patient(row)
    assert caught.value.code is Code.TABLE_INVALID


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ({1: "necrotic core", 2: "peritumoral edema", 4: "enhancing tumour"},
         {"enhancing": 4, "nonenhancing": 1, "oedema": 2, "necrosis": 1}),
        ({1: "NETC (non-enhancing tumor core)", 2: "SNFH (surrounding FLAIR)", 3: "ET enhancing"},
         {"enhancing": 3, "nonenhancing": 1, "oedema": 2}),
        ({1: "hypervascular", 2: "necrosis", 3: "infiltrated", 4: "cavity"},
         {"enhancing": 1, "nonenhancing": 2, "oedema": 3, "necrosis": 2}),
        ({1: "tumour"}, {}),
    ],
)  # fmt: skip
def test_parts_of_a_tumour_are_known_by_name(names, expected):
    values = np.array([0, *names], np.int16).reshape(-1, 1, 1)
    labels = LabelMap(values=values, grid=Grid(shape=values.shape, affine=np.eye(4)), names=names)
    parts = {name: int(values[mask.values][0]) for name, mask in tumour_parts(labels).items()}
    assert parts == expected
