"""`bolus import` of public datasets: tiny copies of their trees, to what `bolus run` finds."""

import json
import sys
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "unit" / "io"))
import dataset_trees as trees
import scanner_series as scanner

from bolus import io
from bolus.cli import main
from bolus.errors import BolusError, Code
from bolus.io import datasets_write
from bolus.io.datasets import read_layout
from bolus.workflows.import_answers import ImportAnswers
from bolus.workflows.import_dataset import DatasetRequest, find_layout, import_dataset


def run(name, tmp_path, **changes):
    source = tmp_path / "in"
    if not source.exists():
        trees.TREES[name](source)
    layout = find_layout(source, name)
    return import_dataset(
        DatasetRequest(source=source, dataset=tmp_path / "out", layout=layout, **changes)
    )


def table(path):
    lines = [line.split("\t") for line in path.read_text().splitlines()]
    return [dict(zip(lines[0], line, strict=True)) for line in lines[1:]]


def test_upenn_becomes_sessions_that_run_finds(tmp_path):
    outcome = run("upenn-gbm", tmp_path)

    out = tmp_path / "out"
    (session,) = io.find_sessions(out)
    assert session.key.prefix == "sub-UPENNGBM00001_ses-11"
    assert session.tumour is not None
    assert io.read_labels(session.tumour).names == {
        1: "necrotic core", 2: "oedema", 4: "enhancing tumour",
    }  # fmt: skip
    assert "echo time" in outcome.not_stated[0]
    assert "EchoTime" not in json.loads(io.find_sidecar(session.series).read_text())
    people = table(out / "participants.tsv")
    assert people[0] == {
        "participant_id": "sub-UPENNGBM00001", "source_id": "UPENN-GBM-00001", "sex": "M",
        "idh1": "Wildtype", "mgmt": "Methylated", "survival_from_surgery_days": "412",
        "survival_status": "Deceased", "survival_censor": "1",
    }  # fmt: skip
    assert people[1]["sex"] == "n/a"
    visits = table(out / "sub-UPENNGBM00001" / "sub-UPENNGBM00001_sessions.tsv")
    assert [visit["age_at_scan_years"] for visit in visits] == ["61.25", "62.5"]


def test_images_are_the_same_bytes_and_the_source_is_untouched(tmp_path):
    source = trees.upenn(tmp_path / "in")
    before = {p: (p.read_bytes(), p.stat().st_mtime_ns) for p in source.rglob("*") if p.is_file()}

    run("upenn-gbm", tmp_path)

    assert {p: (p.read_bytes(), p.stat().st_mtime_ns) for p in before} == before
    original = next(source.rglob("UPENN-GBM-00001_11_DSC.nii.gz"))
    copied = next((tmp_path / "out").rglob("*_dsc.nii.gz"))
    assert copied.read_bytes() == original.read_bytes()
    assert not copied.samefile(original)


def test_links_share_the_file(tmp_path):
    run("upenn-gbm", tmp_path, link=True)

    original = next((tmp_path / "in").rglob("UPENN-GBM-00001_11_DSC.nii.gz"))
    assert next((tmp_path / "out").rglob("*_dsc.nii.gz")).samefile(original)


def test_a_link_that_cannot_be_made_says_to_copy(tmp_path, monkeypatch):
    def other_disk(*_args):
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr("os.link", other_disk)

    with pytest.raises(BolusError, match="leave --link away") as caught:
        run("upenn-gbm", tmp_path, link=True)

    assert caught.value.code is Code.IO_FAULT
    assert not list((tmp_path / "out").rglob("*.nii.gz"))


def test_what_the_user_says_goes_into_the_sidecar(tmp_path):
    outcome = run(
        "ucsd-ptgbm",
        tmp_path,
        answers=ImportAnswers(contrast_agent="gadobutrol", field_strength_t=3),
    )

    sidecar = next((tmp_path / "out").rglob("sub-UCSDPTGBM0149_ses-01_dsc.json"))
    assert json.loads(sidecar.read_text())["MagneticFieldStrength"] == 3
    assert not any("contrast agent" in text for text in outcome.not_stated)


def test_the_same_import_again_changes_nothing(tmp_path):
    first = run("ucsf-pdgm", tmp_path)
    before = {p: p.read_bytes() for p in (tmp_path / "out").rglob("*") if p.is_file()}

    second = run("ucsf-pdgm", tmp_path)

    assert not any(first.sessions.values())
    assert all(second.sessions.values())
    assert {p: p.read_bytes() for p in (tmp_path / "out").rglob("*") if p.is_file()} == before
    assert not io.verify(tmp_path / "out")


def test_a_label_of_no_name_and_a_segmentation_of_none_are_told(tmp_path):
    source = trees.lumiere(tmp_path / "in")
    weeks = sorted((source / "Imaging" / "Patient-001").iterdir())
    native = Path("HD-GLIO-AUTO-segmentation/native/segmentation_CT1_origspace.nii.gz")
    trees.labels(weeks[0] / native, 1, 7)
    trees.labels(weeks[1] / native)

    outcome = run("lumiere", tmp_path)

    assert any("does not name: 7" in note for note in outcome.notes)
    assert any("holds no label above 0 and was left out" in note for note in outcome.notes)
    written = sorted(p.name for p in (tmp_path / "out").rglob("*_dseg.nii.gz"))
    assert [name.split("_")[1] for name in written] == ["ses-week000n1", "ses-week044"]


def test_a_dsc_of_one_volume_is_left_out(tmp_path):
    source = trees.ucsd(tmp_path / "in")
    trees.image(next(source.rglob("*_01_DSC_raw.nii.gz")))

    outcome = run("ucsd-ptgbm", tmp_path)

    assert any("is one volume and no series" in note for note in outcome.notes)
    assert len(list((tmp_path / "out").rglob("*_dsc.nii.gz"))) == 1


def test_maps_and_mask_of_dicom_become_images_on_one_grid(tmp_path):
    run("brain-tumor-progression", tmp_path)

    out = tmp_path / "out"
    start = "sub-PGBM001_ses-01"
    anatomy = nib.load(out / "sub-PGBM001/ses-01/anat" / f"{start}_ce-gadolinium_T1w.nii.gz")
    rcbv = nib.load(out / f"derivatives/published/sub-PGBM001/ses-01/perf/{start}_nrcbv.nii.gz")
    labels = io.read_labels(
        out / f"derivatives/segmentation/sub-PGBM001/ses-01/anat/{start}_seg-tumor_dseg.nii.gz"
    )
    assert np.array_equal(anatomy.get_fdata(), rcbv.get_fdata())
    assert labels.names == {1: "tumour"}
    assert np.array_equal(labels.values == 1, anatomy.get_fdata() > np.median(anatomy.get_fdata()))


def test_a_tumour_as_dicom_seg_lies_on_the_grid_of_the_anatomy(tmp_path):
    pytest.importorskip("highdicom")
    from bolus.core import LabelMap
    from bolus.io.dicom_out_seg import segmentation
    from bolus.io.dicom_out_study import Study, dicom_bytes

    run("brain-tumor-progression", tmp_path, dry_run=True)
    first = read_layout(tmp_path / "in", find_layout(tmp_path / "in", None))
    image = next(i for images in first.sessions.values() for i in images if not i.place.tree)
    grid = datasets_write._read_map(image.source).grid
    values = np.zeros(grid.shape, np.int16)
    values[2:5, 3:5, 1] = 1
    values[6:8, 3:5, 1:3] = 2
    drawn = LabelMap(values=values, grid=grid, names={1: "core", 2: "oedema"})
    seg = segmentation(drawn, Study.anonymous("ab" * 32, frame="t1"), number=1, name="tumour")
    for folder in (tmp_path / "in").rglob("*MaskTumor*"):
        for file in folder.iterdir():
            file.unlink()
        (folder / "1-1.dcm").write_bytes(dicom_bytes(seg))

    outcome = run("brain-tumor-progression", tmp_path)

    found = io.read_labels(next((tmp_path / "out").rglob("*ses-01_seg-tumor_dseg.nii.gz")))
    assert np.array_equal(found.values, values)
    assert found.names == drawn.names
    assert any("DICOM SEG was brought onto the grid" in note for note in outcome.notes)


def test_dicom_studies_keep_the_labels_of_the_dataset(tmp_path):
    run("qin-gbm-treatment-response", tmp_path)

    out = tmp_path / "out"
    assert [s.key.prefix for s in io.find_sessions(out)] == [
        "sub-QINGBMTR01_ses-01", "sub-QINGBMTR01_ses-02",
    ]  # fmt: skip
    series = io.read_series(next(out.rglob("*ses-02_dsc.nii.gz")))
    assert series.values.shape == scanner.SHAPE
    assert table(out / "participants.tsv")[0]["source_id"] == "QIN-GBM-TR-01"
    assert not any("2002" in str(p.relative_to(out)) for p in out.rglob("*"))


def test_another_scan_is_never_replaced(tmp_path):
    run("lumiere", tmp_path)
    receipt = next((tmp_path / "out").rglob("week044/receipt.json"), None) or next(
        (tmp_path / "out" / "sub-Patient001" / "ses-week044").glob("receipt.json")
    )
    receipt.unlink()

    with pytest.raises(BolusError, match="holds another scan") as caught:
        run("lumiere", tmp_path)

    assert caught.value.code is Code.OUTPUT_OCCUPIED


@pytest.mark.parametrize(
    ("answers", "dataset", "words"),
    [
        (ImportAnswers(subject="7"), "out", "do not go with lumiere"),
        (ImportAnswers(), "in/out", "lies inside the one that is read"),
    ],
)
def test_what_does_not_fit_is_refused_before_anything_is_written(tmp_path, answers, dataset, words):
    source = trees.lumiere(tmp_path / "in")
    request = DatasetRequest(
        source=source, dataset=tmp_path / dataset, layout=find_layout(source, None), answers=answers
    )

    with pytest.raises(BolusError, match=words):
        import_dataset(request)

    assert not (tmp_path / dataset).exists()


def test_the_command_finds_the_layout_and_says_what_there_is(tmp_path, capsys):
    trees.pdgm(tmp_path / "in")

    with pytest.raises(SystemExit) as left:
        main(["import", str(tmp_path / "in"), str(tmp_path / "out"), "--dry-run", "-q"])

    said = capsys.readouterr().out
    assert left.value.code == 0
    assert "UCSF-PDGM  doi:10.7937/tcia.bdgf-8v37" in said
    assert "2 subjects, 3 sessions planned" in said
    assert "Not imported: 3 T1_bias" in said
    assert "no raw DSC" in said
    assert not (tmp_path / "out").exists()


def test_the_command_tells_it_as_json(tmp_path, capsys):
    trees.ucsd(tmp_path / "in")

    with pytest.raises(SystemExit):
        main(["import", str(tmp_path / "in"), str(tmp_path / "out"), "--json", "-q"])

    said = json.loads(capsys.readouterr().out)
    assert said["layout"] == "ucsd-ptgbm"
    assert len(said["sessions"]) == 2
    assert said["not_imported"] == {"ADC_b4000": 2}


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (["--layout", "brats"], "expected upenn-gbm"),
        (["--layout", "dicom"], "no MR image"),
        (["--layout", "dicom", "--link"], "--link goes with a public dataset"),
    ],
)
def test_a_wrong_layout_is_one_line(tmp_path, capsys, more, words):
    trees.lumiere(tmp_path / "in")

    with pytest.raises(SystemExit) as left:
        main(["import", str(tmp_path / "in"), str(tmp_path / "out"), "-q", *more])

    said = capsys.readouterr().err
    assert left.value.code == 2
    assert words in said
    assert not (tmp_path / "out").exists()
