"""The store: complete or absent, one writer, nothing lost, and a receipt that tells."""

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from bolus.errors import BolusError, Code
from bolus.io import is_complete, open_output, safe_join, verify, write_atomically
from bolus.io.access import os_failure

RUN = {"inputs": {"dsc.nii.gz": "ab" * 32}, "config_digest": "c1", "version": "1.0"}


def run(target: Path, *, text: str = "one") -> None:
    with open_output(target, **RUN) as output:
        output.write("perf/map.tsv", text)
        output.write("report.html", text * 100)


def tree(folder: Path) -> dict[str, bytes]:
    return {
        p.relative_to(folder).as_posix(): p.read_bytes()
        for p in sorted(folder.rglob("*"))
        if p.is_file()
    }


def hidden(folder: Path) -> list[str]:
    return [p.name for p in folder.rglob(".bolus-*")]


def test_a_finished_run_is_complete_and_verifies(tmp_path):
    run(tmp_path / "out")

    assert set(tree(tmp_path / "out")) == {"perf/map.tsv", "report.html", "receipt.json"}
    assert verify(tmp_path / "out") == ()
    assert is_complete(tmp_path / "out", **RUN)
    assert hidden(tmp_path) == []


@pytest.mark.parametrize(
    "other",
    [{"inputs": {}}, {"config_digest": "c2"}, {"version": "1.1"}],
    ids=["inputs", "settings", "version"],
)
def test_a_run_of_something_else_is_not_complete(tmp_path, other):
    run(tmp_path / "out")

    assert not is_complete(tmp_path / "out", **{**RUN, **other})


def test_two_runs_give_the_same_bytes(tmp_path):
    run(tmp_path / "a")
    run(tmp_path / "b")
    run(tmp_path / "b")

    assert tree(tmp_path / "a") == tree(tmp_path / "b")


@pytest.mark.parametrize("failure", [ValueError("x"), KeyboardInterrupt(), SystemExit(3)])
def test_whatever_ends_a_run_leaves_the_old_output(tmp_path, failure):
    run(tmp_path / "out", text="old")
    before = tree(tmp_path)

    def broken_run() -> None:
        with open_output(tmp_path / "out", **RUN) as output:
            output.write("perf/map.tsv", "new")
            raise failure

    with pytest.raises(type(failure)):
        broken_run()

    assert tree(tmp_path) == before


def test_a_failed_first_run_leaves_no_folder_at_all(tmp_path):
    with pytest.raises(ValueError, match="x"), open_output(tmp_path / "a/b/out", **RUN):
        raise ValueError("x")

    assert list(tmp_path.iterdir()) == []


def test_a_name_never_stands_for_half_a_file(tmp_path, monkeypatch):
    write_atomically(tmp_path / "a.txt", b"old")

    def full(handle):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(BolusError) as caught:
        write_atomically(tmp_path / "a.txt", b"new")

    assert caught.value.code is Code.DISK_FULL
    assert tree(tmp_path) == {"a.txt": b"old"}


def test_a_full_disk_leaves_the_old_output_and_a_rerun_is_the_same(tmp_path, monkeypatch):
    run(tmp_path / "clean", text="new")
    run(tmp_path / "out", text="old")
    before = tree(tmp_path / "out")
    real, calls = os.fsync, []

    def fills_up(handle):
        calls.append(handle)
        if len(calls) > 3:
            raise OSError(errno.ENOSPC, "No space left on device")
        real(handle)

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fills_up)
        with pytest.raises(BolusError) as caught:
            run(tmp_path / "out", text="new")
    assert caught.value.code is Code.DISK_FULL
    assert ".bolus-" not in str(caught.value)  # users see the names they gave
    assert tree(tmp_path / "out") == before

    run(tmp_path / "out", text="new")
    assert tree(tmp_path / "out") == tree(tmp_path / "clean")


WRITER = """
import sys, time
from bolus.io import open_output
with open_output(sys.argv[1], inputs={"dsc.nii.gz": "ab" * 32}, config_digest="c1",
                 version="1.0") as output:
    output.write("perf/map.tsv", "one")
    print("ready", flush=True)
    time.sleep(60)
"""


def writer(target: Path) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(target)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def stop(process: subprocess.Popen[str], number: int) -> None:
    process.send_signal(number)
    process.wait()
    assert process.stdout is not None
    process.stdout.close()


def test_a_second_run_is_told_who_holds_the_output_and_a_dead_holder_heals(tmp_path):
    run(tmp_path / "clean")
    process = writer(tmp_path / "out")

    try:
        with pytest.raises(BolusError) as caught:
            run(tmp_path / "out")
    finally:
        stop(process, signal.SIGKILL)
    assert caught.value.code is Code.LOCKED
    assert f"process {process.pid} on " in str(caught.value)
    assert hidden(tmp_path) != []  # what the dead run left

    run(tmp_path / "out")
    assert tree(tmp_path / "out") == tree(tmp_path / "clean")
    assert hidden(tmp_path) == []


def test_a_kill_between_the_two_renames_is_healed(tmp_path):
    run(tmp_path / "clean", text="new")
    run(tmp_path / "out", text="old")
    (tmp_path / "out").rename(tmp_path / ".bolus-old-out")
    (tmp_path / ".bolus-stage-out").mkdir()

    with pytest.raises(ValueError, match="x"), open_output(tmp_path / "out", **RUN):
        raise ValueError("x")
    assert tree(tmp_path / "out")["perf/map.tsv"] == b"old"

    run(tmp_path / "out", text="new")
    assert tree(tmp_path / "out") == tree(tmp_path / "clean")
    assert hidden(tmp_path) == []


def test_an_interrupt_between_the_two_renames_loses_nothing(tmp_path, monkeypatch):
    run(tmp_path / "out", text="old")
    before = tree(tmp_path)
    real = Path.rename

    def interrupted(self, target):
        if ".bolus-stage" in self.name:
            raise KeyboardInterrupt
        return real(self, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", interrupted)
        with pytest.raises(KeyboardInterrupt):
            run(tmp_path / "out", text="new")

    assert tree(tmp_path) == before


def test_outputs_beside_each_other_do_not_disturb_each_other(tmp_path):
    with open_output(tmp_path / "a", **RUN) as first:
        first.write("x", "1")
        with open_output(tmp_path / "a-b", **RUN) as second:
            second.write("x", "2")
        assert first.path("x").read_text() == "1"

    assert verify(tmp_path) == ()


def occupied_by_file(folder: Path) -> None:
    folder.write_text("mine")


def occupied_by_others(folder: Path) -> None:
    folder.mkdir()
    (folder / "notes.txt").write_text("mine")


def occupied_by_notes_in_ours(folder: Path) -> None:
    run(folder)
    (folder / "perf" / "notes.txt").write_text("mine")


@pytest.mark.parametrize(
    ("occupy", "code"),
    [
        (occupied_by_file, Code.PATH_KIND),
        (occupied_by_others, Code.OUTPUT_OCCUPIED),
        (occupied_by_notes_in_ours, Code.OUTPUT_OCCUPIED),
    ],
)
def test_nothing_that_bolus_did_not_write_is_ever_lost(tmp_path, occupy, code):
    occupy(tmp_path / "out")
    before = tree(tmp_path)

    with pytest.raises(BolusError) as caught:
        run(tmp_path / "out", text="new")

    assert caught.value.code is code
    assert tree(tmp_path) == before


def test_an_empty_folder_may_be_used(tmp_path):
    (tmp_path / "out").mkdir()

    run(tmp_path / "out")

    assert verify(tmp_path / "out") == ()


def test_a_link_to_a_folder_stays_a_link(tmp_path):
    (tmp_path / "disk").mkdir()
    (tmp_path / "out").symlink_to("disk")

    run(tmp_path / "out")

    assert (tmp_path / "out").is_symlink()
    assert verify(tmp_path / "disk") == ()


def test_verify_names_every_difference(tmp_path):
    for name in ("a", "b"):
        run(tmp_path / name)
    (tmp_path / "a/report.html").write_text("changed")
    (tmp_path / "b/perf/map.tsv").unlink()
    (tmp_path / "b/more.txt").write_text("")
    (tmp_path / "b/link").symlink_to("report.html")

    assert [(d.kind, d.name) for d in verify(tmp_path)] == [
        ("changed", "a/report.html"),
        ("missing", "b/perf/map.tsv"),
        ("extra", "b/link"),
        ("extra", "b/more.txt"),
    ]
    assert not is_complete(tmp_path / "a", **RUN)


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace("1.0", "1.1"),
        lambda text: text.replace("ab", "cd"),
        lambda text: text[:50],
        lambda text: text.replace("outputs", "output"),
        lambda text: "",
    ],
)
def test_an_altered_receipt_is_seen(tmp_path, change):
    run(tmp_path / "out")
    receipt = tmp_path / "out/receipt.json"
    receipt.write_text(change(receipt.read_text()))

    with pytest.raises(BolusError) as caught:
        verify(tmp_path / "out")

    assert caught.value.code is Code.RECEIPT_MISMATCH


def test_a_folder_without_receipt_cannot_be_verified(tmp_path):
    for folder in (tmp_path, tmp_path / "absent"):
        with pytest.raises(BolusError) as caught:
            verify(folder)
        assert caught.value.code is Code.FILE_MISSING


HOSTILE = [
    "", ".", "..", "/", "../x", "a/../x", "/etc/passwd", "a//b", "./a", "a/.", "a/..", "~/x",
    "a\\b", "..\\x", "C:\\x", "C:x", "\\\\host\\x", "a\0b", "a\nb", "a\tb", " a", "a ", "a*", "a?b",
    "a|b", "$(x)", "`x`", "a;b", "\u202egz.iin", "\u2024\u2024/x", "e\u0301", "%2e%2e/x", "-rf",
    "con", "NUL.txt", "a" * 300, "http://x", "file:///x",
]  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_names_are_refused(tmp_path, name):
    with open_output(tmp_path / "out", **RUN) as output:
        with pytest.raises(BolusError) as caught:
            output.write(name, "x")
        assert caught.value.code is Code.NAME_UNSAFE
        assert "\n" not in str(caught.value)

    assert sorted(p.name for p in tmp_path.iterdir()) == ["out"]


@pytest.mark.parametrize(
    "name", ["a", "_a", "a/b.nii.gz", ".bidsignore", "sub-01_ses-a_dsc.nii.gz"]
)
def test_plain_names_pass(tmp_path, name):
    assert safe_join(tmp_path, name) == tmp_path / name


def test_a_link_inside_an_output_is_not_followed(tmp_path):
    (tmp_path / "perf").symlink_to("/")

    with pytest.raises(BolusError) as caught:
        safe_join(tmp_path, "perf/x")

    assert caught.value.code is Code.NAME_UNSAFE


@pytest.mark.parametrize(
    ("number", "code"),
    [
        (errno.ENOSPC, Code.DISK_FULL),
        (errno.EDQUOT, Code.DISK_FULL),
        (errno.EACCES, Code.PERMISSION),
        (errno.EROFS, Code.PERMISSION),
        (errno.ENOENT, Code.FILE_MISSING),
        (errno.ELOOP, Code.FILE_MISSING),
        (errno.ENAMETOOLONG, Code.FILE_MISSING),
        (errno.EISDIR, Code.PATH_KIND),
        (errno.ENOTDIR, Code.PATH_KIND),
        (errno.ENOMEM, Code.MEMORY),
        (errno.EIO, Code.IO_FAULT),
        (errno.ESTALE, Code.IO_FAULT),
    ],
)
def test_every_answer_of_the_system_has_a_code(number, code):
    error = os_failure(OSError(number, os.strerror(number)), "out")

    assert error.code is code
    assert str(error).startswith(f"error[{code}] out: ")


def test_the_folders_of_a_file_are_made_with_it(tmp_path):
    write_atomically(tmp_path / "a/b/c.txt", b"x")

    assert tree(tmp_path) == {"a/b/c.txt": b"x"}
