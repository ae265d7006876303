"""Every way to tamper with a result is found."""

import gzip
import json
import shutil

import pytest
from reliability_run import finished

from bolus.errors import BolusError
from bolus.io import verify

pytestmark = pytest.mark.reliability


def one(folder, ending):
    return next(folder.rglob(f"*{ending}"))


def flipped(ending, at):
    def change(folder):
        path = one(folder, ending)
        content = bytearray(path.read_bytes())
        content[int(at * (len(content) - 1))] ^= 1
        path.write_bytes(content)

    return change


def rewritten(ending, change):
    def work(folder):
        path = one(folder, ending)
        path.write_bytes(change(path.read_bytes()))

    return work


def receipt(change):
    def work(folder):
        path = folder / "receipt.json"
        values = json.loads(path.read_text())
        change(values)
        path.write_text(json.dumps(values, indent=1) + "\n")

    return work


def swapped(folder):
    first, second = one(folder, "_cbv.nii.gz"), one(folder, "_cbf.nii.gz")
    content = first.read_bytes()
    first.write_bytes(second.read_bytes())
    second.write_bytes(content)


def renamed(folder):
    one(folder, "_mtt.nii.gz").rename(folder / "other.nii.gz")


def linked(folder):
    path = one(folder, "_tmax.nii.gz")
    copy = folder.parent / "elsewhere"
    copy.write_bytes(path.read_bytes())
    path.unlink()
    path.symlink_to(copy)


def repacked(folder):
    path = one(folder, "_cbv.nii.gz")
    path.write_bytes(gzip.compress(gzip.decompress(path.read_bytes()), 1))


def renamed_in_receipt(values):
    name = sorted(values["outputs"])[0]
    values["outputs"]["../outside"] = values["outputs"].pop(name)


TAMPERED = {
    "bit of a map": flipped("_ncbv.nii.gz", 0.5),
    "first bit of a map": flipped("_cbf.nii.gz", 0),
    "last bit of a map": flipped("_mtt.nii.gz", 1),
    "bit of a status": flipped("_cbvstatus.nii.gz", 0.5),
    "bit of a mask": flipped("_mask.nii.gz", 0.7),
    "bit of a sidecar": flipped("_cbv.json", 0.5),
    "bit of the report": flipped("report.html", 0.9),
    "cut map": rewritten("_cbv.nii.gz", lambda c: c[: len(c) // 2]),
    "emptied map": rewritten("_cbv.nii.gz", lambda c: b""),
    "longer map": rewritten("_cbv.nii.gz", lambda c: c + b"\0"),
    "number in a table": rewritten(".tsv", lambda c: c.replace(b"1", b"2")),
    "line ends of a table": rewritten(".tsv", lambda c: c.replace(b"\n", b"\r\n")),
    "maps swapped": swapped,
    "map deleted": lambda folder: one(folder, "_k2.nii.gz").unlink(),
    "report deleted": lambda folder: (folder / "report.html").unlink(),
    "file added": lambda folder: (folder / "more.txt").write_text("mine"),
    "hidden file added": lambda folder: (folder / ".more").write_text(""),
    "map renamed": renamed,
    "map made a link": linked,
    "map packed again": repacked,
    "receipt deleted": lambda folder: (folder / "receipt.json").unlink(),
    "hash in the receipt": receipt(lambda v: v["outputs"].update({"report.html": "0" * 64})),
    "input in the receipt": receipt(lambda v: v["inputs"].clear()),
    "version in the receipt": receipt(lambda v: v.update(version="0")),
    "output left out of the receipt": receipt(lambda v: v["outputs"].pop("report.html")),
    "name in the receipt": receipt(renamed_in_receipt),
    "bit of the receipt": flipped("receipt.json", 0.4),
}


def test_there_are_twenty_and_the_untouched_result_verifies():
    assert len(TAMPERED) >= 20
    assert verify(finished()[0]) == ()


@pytest.mark.parametrize("name", TAMPERED, ids=lambda name: name.replace(" ", "_"))
def test_a_tampered_result_is_found(name, tmp_path):
    folder = tmp_path / "out"
    shutil.copytree(finished()[0], folder)
    TAMPERED[name](folder)

    try:
        found = verify(folder)
    except BolusError as error:
        found = (error.code,)

    assert found != ()


def test_the_receipt_lists_what_the_maps_promise():
    """Each map comes with its status and a sidecar of both; the report and the tables are there."""
    folder, _ = finished()
    listed = set(json.loads((folder / "receipt.json").read_text())["outputs"])

    assert "report.html" in listed
    for key in ("cbv", "cbf", "mtt", "tmax", "ncbv", "k2", "psr"):
        stem = next(n for n in listed if n.endswith(f"_{key}.nii.gz")).removesuffix(".nii.gz")
        assert {f"{stem}.json", f"{stem}status.nii.gz", f"{stem}status.json"} <= listed
