"""Public datasets: which files are recognised, as what, and what is left alone."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
import dataset_trees as trees

from bolus.errors import BolusError, Code
from bolus.io.datasets import detect_layout, layout_named, read_layout
from bolus.io.datasets_layouts import LAYOUTS


def found(tmp_path, name):
    return read_layout(trees.TREES[name](tmp_path / "in"), layout_named(name, LAYOUTS))


def endings(found, prefix):
    images = next(images for key, images in found.sessions.items() if key.prefix == prefix)
    return {f"{i.place.tree}:{i.place.folder}/{i.place.ending}" for i in images}


@pytest.mark.parametrize("name", trees.TREES)
def test_a_layout_is_told_by_its_files_alone(tmp_path, name):
    layout = detect_layout(trees.TREES[name](tmp_path / "some folder"), LAYOUTS)

    assert layout is not None
    assert layout.name == name


def test_two_datasets_in_one_folder_are_not_guessed(tmp_path):
    trees.pdgm(tmp_path)
    trees.lumiere(tmp_path)

    assert detect_layout(tmp_path, LAYOUTS) is None


def test_other_folders_have_no_layout(tmp_path):
    trees.image(tmp_path / "sub-01" / "anat" / "sub-01_T1w.nii.gz")

    assert detect_layout(tmp_path, LAYOUTS) is None


def test_every_layout_has_a_reader_test():
    assert {layout.name for layout in LAYOUTS} == set(trees.TREES)


def test_upenn_has_raw_dsc_published_maps_and_one_segmentation(tmp_path):
    upenn = found(tmp_path, "upenn-gbm")

    first = endings(upenn, "sub-UPENNGBM00001_ses-11")
    assert {":perf/dsc", ":anat/T1w", ":anat/ce-gadolinium_T1w", "published:perf/rcbv",
            "published:dwi/FA", "segmentation:anat/seg-tumor_dseg"} <= first  # fmt: skip
    assert upenn.left == {"T1_unstripped": 3, "UPENN-GBM-00002_11_automated_approx_segm": 1}


def test_the_corrected_segmentation_comes_first(tmp_path):
    upenn = found(tmp_path, "upenn-gbm")

    sources = [i.source.name for images in upenn.sessions.values() for i in images
               if i.place.tree == "segmentation"]  # fmt: skip
    assert sources == [
        "UPENN-GBM-00001_11_automated_approx_segm.nii.gz", "UPENN-GBM-00002_11_segm.nii.gz",
    ]  # fmt: skip


def test_an_empty_file_is_told_and_a_spreadsheet_is_read(tmp_path):
    ucsd = found(tmp_path, "ucsd-ptgbm")

    assert "UCSD-PTGBM-0149_02_total_cellular_tumor_seg.nii.gz is empty" in ucsd.notes[0]
    assert ucsd.clinical is not None
    assert ucsd.clinical.row("UCSD-PTGBM-0149_01") == {
        "sex": "F", "idh": "wildtype", "mgmt": "", "diagnosis": "GBM",
        "overall_survival": "412", "age": "54.5",
    }  # fmt: skip
    assert ucsd.left == {"ADC_b4000": 2}


def test_follow_ups_of_pdgm_are_sessions_and_its_table_has_fewer_digits(tmp_path):
    pdgm = found(tmp_path, "ucsf-pdgm")

    assert [key.prefix for key in pdgm.sessions] == [
        "sub-UCSFPDGM0004_ses-baseline",
        "sub-UCSFPDGM0391_ses-FU016d",
        "sub-UCSFPDGM0391_ses-baseline",
    ]
    assert pdgm.clinical is not None
    assert pdgm.clinical.row("UCSF-PDGM-0004", digits=4)["overall_survival_days"] == "1303"
    assert pdgm.clinical.row("UCSF-PDGM-0004", digits=4)["codeletion_1p19q"] == ""
    assert pdgm.clinical.row("UCSF-PDGM-0391_FU016d", digits=4)["age_at_scan_years"] == "41"
    assert not pdgm.layout.has_dsc


def test_weeks_of_lumiere_stay_apart(tmp_path):
    lumiere = found(tmp_path, "lumiere")

    assert [key.session for key in lumiere.sessions] == ["week000n1", "week000n2", "week044"]
    sources = [i.source.parts[-4] for images in lumiere.sessions.values() for i in images
               if i.place.tree == "segmentation"]  # fmt: skip
    assert sources == ["week-000-1", "week-000-2", "DeepBraTumIA-segmentation"]


@pytest.mark.parametrize("name", ["brain-tumor-progression", "qin-gbm-treatment-response"])
def test_dated_visits_are_numbered_by_date_and_lose_it(tmp_path, name):
    dated = found(tmp_path, name)

    first = next(iter(dated.sessions.values()))[0]
    assert [key.session for key in dated.sessions] == ["01", "02"]
    assert "11-19-1991" in str(first.source) or "01-03-2002" in str(first.source)
    assert first.session_id == "01"


def test_a_file_that_is_there_twice_is_told(tmp_path):
    root = trees.upenn(tmp_path)
    name = "UPENN-GBM-00002_11_T1.nii.gz"
    trees.image(root / "an older copy of the whole thing, somewhere else" / "images_structural_old"
                / "NIfTI-files" / "UPENN-GBM" / name)  # fmt: skip

    upenn = read_layout(root, layout_named("UPENN_GBM", LAYOUTS))

    assert any(f"{name} is there twice" in note for note in upenn.notes)


@pytest.mark.parametrize(
    ("make", "code"),
    [
        (lambda root: root / "absent", Code.FILE_MISSING),
        (lambda root: trees.image(root / "a.nii.gz"), Code.PATH_KIND),
        (trees.lumiere, Code.DATASET_INVALID),
    ],
)
def test_what_is_not_the_dataset_is_refused(tmp_path, make, code):
    with pytest.raises(BolusError) as caught:
        read_layout(make(tmp_path), layout_named("upenn-gbm", LAYOUTS))

    assert caught.value.code is code


def test_an_unknown_layout_lists_the_known_ones():
    with pytest.raises(BolusError, match=r"lumiere.*qin-gbm") as caught:
        layout_named("brats", LAYOUTS)

    assert caught.value.code is Code.USAGE


def test_a_table_without_identifiers_is_refused(tmp_path):
    root = trees.lumiere(tmp_path)
    (root / "LUMIERE-Demographics_Pathology.csv").write_text("Name;Sex\nx;male\n")

    with pytest.raises(BolusError, match="has no column 'Patient'"):
        read_layout(root, layout_named("lumiere", LAYOUTS))
