"""Run the reliability suite at its full counts and write RELIABILITY.md.

`python benchmarks/reliability.py` runs every row; with names of rows only those, and the others
keep what they gave before. What a row gave is kept as JUnit XML below build/reliability.
"""

import datetime
import os
import platform
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

ROOT = Path(__file__).parents[1]
KEPT = ROOT / "build" / "reliability"
PAGE = ROOT / "RELIABILITY.md"
SUITE = "tests/reliability/test_reliability_"
ONE_THREAD = {
    f"{name}_NUM_THREADS": "1" for name in ("OMP", "OPENBLAS", "MKL", "NUMBA")
}  # fmt: skip


@dataclass(frozen=True)
class Row:
    """One row of the table: its tests, which of them are counted, and what it must reach."""

    key: str
    title: str
    tests: str
    goal: str
    counted: tuple[str, ...]
    note: str = ""

    @property
    def command(self) -> str:
        """The command that gives the figures of this row."""
        return f"BOLUS_RELIABILITY=full pytest {self.tests}"


ROWS = (
    Row("nifti", "Bad NIfTI, sidecar, mask", f"{SUITE}nifti.py", "40 kinds: one line, exit 2, "
        "nothing left", ("test_bad_series", "test_bad_masks", "test_a_file_that_may_not",
                         "test_too_little_memory")),
    Row("dicom", "Bad DICOM; shuffled names and numbers", f"{SUITE}dicom.py",
        "40 kinds; 0 changed bytes", ("test_",)),
    Row("wrong", "Right files, wrong meaning", f"{SUITE}wrong.py",
        "15 stopped or flagged with the right guess; 0 of 50 good exams stopped",
        ("test_what_is_silently", "test_a_tumour_of_doubtful", "test_nothing_good"),
        "Of 50 good exams turned backwards 48 are stopped and 2 flagged; of 100 shuffled ones 91 "
        "are stopped with that guess, 8 with another and 1 passes. A DCE series backwards is not "
        "looked at. A tumour mask mirrored in its data but not in its header is flagged only where "
        "the tumour stands out in nCBV or leakage."),
    Row("voxels", "NaN, infinite, constant voxels", f"{SUITE}voxels.py",
        "NaN there with a status, finite elsewhere, counts in the report", ("test_",),
        "A voxel of zeros is NaN with the status NOT_FINITE in some maps, where NO_SIGNAL would "
        "say more."),
    Row("kill", "kill -9, then run again", f"{SUITE}kill.py", "50 of 50 byte-identical",
        ("test_a_killed_run",), "25 at a step of the file system, 25 at a random time."),
    Row("disk", "Full disk, failing disk", f"{SUITE}disk.py",
        "20 of 20 exit 2; rerun byte-identical", ("test_a_full_disk", "test_a_fault"),
        "8 real full disks (tmpfs; needs root, else a file size limit), 12 injected faults."),
    Row("lock", "Two runs, one output", f"{SUITE}lock.py",
        "the second says who holds it; a dead holder heals", ("test_",)),
    Row("determinism", "Threads, language, time zone, order of options",
        f"{SUITE}determinism.py", "byte-identical", ("test_",),
        "Habitats: the same bytes over 1, 2 and 4 threads and any order of patients "
        "(tests/unit/habitats). Networks: the same over 1, 2 and 4 threads (tests/unit/nets)."),
    Row("bombs", "Bombs", f"{SUITE}bombs.py", "10 of 10 refused in < 2 s and < 300 MB", ("test_",),
        "DICOM bombs are among the bad DICOM kinds."),
    Row("traversal", "Hostile names", f"{SUITE}traversal.py", "30 of 30 refused",
        ("test_a_hostile_name", "test_a_pattern", "test_links")),
    Row("tables", "Formulas and decimal commas", f"{SUITE}tables.py",
        "quoted; a point in every country", ("test_",),
        "The German locale is used where the machine has one."),
    Row("verify", "Tampered results", f"{SUITE}verify.py", "20 of 20 found",
        ("test_a_tampered",),
        "Every step states its files before it begins; what was hashed is compared with that "
        "before the receipt is written (tests/workflow/test_workflow_expected.py)."),
    Row("drift", "Golden maps", f"{SUITE}drift.py",
        "a change > 1e-6 fails unless the changelog names it", ("test_",),
        "Count, mean, spread and a weighted mean of every map and status are compared, not each "
        "voxel."),
    Row("privacy", "Patient data", f"{SUITE}privacy.py",
        "18 canaries: 0 found", ("test_",), "Viewer answers: not built yet."),
    Row("forbidden", "Loading of code from files", "tests/architecture/test_forbidden.py",
        "no pickle.load, torch.load, allow_pickle=True, yaml.load(", ("test_",)),
    Row("weights", "Weights of networks", f"{SUITE}weights.py",
        "safetensors + SHA-256 card only; one flipped bit refused",
        ("test_one_flipped_bit", "test_other_files", "test_one_without"),
        "A flipped bit that turns one blank of the card into another changes nothing and is "
        "skipped."),
    Row("cohort", "Cohorts: killed workers, bad sessions", f"{SUITE}cohort.py",
        "same bytes as in series; 20 kills lose nothing; 19 of 20 good, exit 3", ("test_",)),
)  # fmt: skip
NOT_BUILT = ("viewer (loopback, token, Host, Origin, CSP, 30 bad requests)",)


def run(row: Row) -> None:
    """Run the tests of a row and keep what they gave."""
    KEPT.mkdir(parents=True, exist_ok=True)
    subprocess.run(
        [sys.executable, "-m", "pytest", "-q", row.tests, f"--junitxml={KEPT / row.key}.xml"],
        cwd=ROOT, env={**os.environ, **ONE_THREAD, "BOLUS_RELIABILITY": "full"}, check=False,
    )  # fmt: skip


def line(row: Row) -> str:
    """Return a row of the page; what was not run, or failed, is said."""
    path = KEPT / f"{row.key}.xml"
    if not path.exists():
        return f"| {row.title} | {row.goal} | not run for this page | - | `{row.command}` |"
    suite = next(ElementTree.parse(path).getroot().iter("testsuite"))
    cases = [c for c in suite.iter("testcase") if c.attrib["name"].startswith(row.counted)]
    skipped = [c for c in cases if c.find("skipped") is not None]
    bad = [c for c in cases if any(c.find(name) is not None for name in ("failure", "error"))]
    done = len(cases) - len(skipped)
    figures = f"{done - len(bad)} of {done}"
    figures += f", {len(skipped)} skipped" if skipped else ""
    figures = f"**short: {figures}**" if bad or not done else figures
    day = suite.attrib["timestamp"][:10]
    return f"| {row.title} | {row.goal} | {figures} | {day} | `{row.command}` |"


def page() -> str:
    """Return RELIABILITY.md."""
    today = datetime.datetime.now(tz=datetime.UTC).date().isoformat()
    rows = "\n".join(line(row) for row in ROWS)
    notes = "\n".join(f"- {row.title}: {row.note}" for row in ROWS if row.note)
    return f"""# Reliability

What happens when files are bad, disks are full, runs are killed, or a number has the wrong unit.
Every input is made in code. `make reliability` runs every row at these counts and writes this page;
`make test` runs each with fewer. Written on {today}, Python {platform.python_version()},
{platform.system()}, one thread.

"n of m" counts tests, each of one kind of fault or one repetition.

| row | goal | reached | date | command |
|---|---|---|---|---|
{rows}

Not built yet, so not tested: {"; ".join(NOT_BUILT)}.

## What falls short, and how the rows are counted

{notes}

Memory of a large series (192 x 192 x 60 x 90) is measured by `benchmarks/memory.py`.
"""


def main() -> None:
    """Run the rows that were named, or all; `--page` writes the page alone."""
    names = [word for word in sys.argv[1:] if word != "--page"]
    if unknown := set(names) - {row.key for row in ROWS}:
        sys.exit(f"unknown rows: {', '.join(sorted(unknown))}")
    if "--page" not in sys.argv[1:]:
        for row in ROWS:
            if not names or row.key in names:
                run(row)
    PAGE.write_text(page())


if __name__ == "__main__":
    main()
