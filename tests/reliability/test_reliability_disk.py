"""A full disk or a failing one: exit 2, nothing left; with space again, the same bytes."""

import errno
import os

import exam_cases
import pytest
from reliability_run import (
    FAULTS,
    AtStep,
    Fault,
    Smallest,
    Tally,
    can_mount,
    count,
    run,
    small_disk,
    tree,
    warm,
)  # fmt: skip

pytestmark = pytest.mark.reliability
DISKS = count(8, 1)
STEPS = count(12, 1)


@pytest.fixture(scope="module")
def exam(tmp_path_factory):
    folder = tmp_path_factory.mktemp("disk")
    files = exam_cases.write(folder / "in", shape=(28, 30, 6), voxel_mm=(6.0, 6.0, 6.0))
    settings = folder / "fast.toml"
    settings.write_text(exam_cases.FAST)
    words = ["dsc", files.series, "--tumour", files.tumour, "--config", settings, "-q", "-o"]
    warm(*words, folder / "warm")
    steps, told = folder / "steps", folder / "told"
    code = run(*words, folder / "whole" / "out", told=told, before=Tally(steps))
    assert code == 0, told.read_text()
    sizes = sorted(p.stat().st_size for p in (folder / "whole").rglob("*") if p.is_file())
    return words, tree(folder / "whole"), int(steps.read_text()), sizes


def require_one_line(told):
    text = told.read_text().strip()
    assert text.startswith("error[BOLUS-600"), text
    assert " - " in text
    assert "\n" not in text


@pytest.mark.parametrize("number", range(DISKS))
def test_a_full_disk_ends_with_code_2_and_a_rerun_is_the_same(exam, tmp_path, number):
    words, whole, _, sizes = exam
    told, disk = tmp_path / "told", tmp_path / "disk"
    disk.mkdir()
    share = (number + 0.5) / DISKS
    if can_mount(disk):
        with small_disk(disk, max(int(0.9 * share * sum(sizes) / 1024), 8)) as grow:
            assert run(*words, disk / "out", told=told) == 2, told.read_text()
            require_one_line(told)
            assert tree(disk) == {}
            grow()
            assert run(*words, disk / "out", told=told) == 0, told.read_text()
            assert tree(disk) == whole
    else:
        limit = Smallest(int(share * sizes[-1]))
        assert run(*words, disk / "out", told=told, before=limit) == 2, told.read_text()
        assert tree(disk) == {}
        assert run(*words, disk / "out", told=told) == 0, told.read_text()
        assert tree(disk) == whole


@pytest.mark.parametrize("number", range(STEPS))
def test_a_fault_at_any_step_ends_with_code_2_and_a_rerun_is_the_same(exam, tmp_path, number):
    words, whole, steps, _ = exam
    told, output = tmp_path / "told", tmp_path / "work" / "out"
    at = 1 + round(number * (steps - 2) / max(STEPS - 1, 1))
    fault = AtStep(at, Fault(FAULTS[number % len(FAULTS)]))

    assert run(*words, output, told=told, before=fault) == 2, told.read_text()
    require_one_line(told)
    if (tmp_path / "work").exists():
        assert tree(tmp_path / "work") == {}

    assert run(*words, output, told=told) == 0, told.read_text()
    assert tree(tmp_path / "work") == whole


def test_the_faults_are_those_of_disks():
    assert {errno.ENOSPC, errno.EIO, errno.EDQUOT, errno.EROFS} <= set(FAULTS)
    assert os.strerror(errno.ENOSPC)
