"""Memory and small files: what is there is measured, not guessed."""

import pytest

from bolus.errors import BolusError, Code
from bolus.io import access, available_memory_bytes, file_digest, require_memory


def test_the_memory_left_is_that_of_the_machine_or_its_container(tmp_path, monkeypatch):
    (tmp_path / "meminfo").write_text("MemTotal: 9 kB\nMemAvailable: 4000 kB\n")
    (tmp_path / "memory.max").write_text("3000000\n")
    (tmp_path / "memory.current").write_text("2500000\n")
    (tmp_path / "memory.stat").write_text("anon 5\ninactive_file 100000\n")
    monkeypatch.setattr(access, "_MEMINFO", tmp_path / "meminfo")
    monkeypatch.setattr(access, "_CGROUP", tmp_path)

    assert available_memory_bytes() == 600_000


def test_a_container_without_bound_leaves_the_machine(tmp_path, monkeypatch):
    (tmp_path / "meminfo").write_text("MemAvailable: 4000 kB\n")
    (tmp_path / "memory.max").write_text("max\n")
    (tmp_path / "memory.current").write_text("2500000\n")
    monkeypatch.setattr(access, "_MEMINFO", tmp_path / "meminfo")
    monkeypatch.setattr(access, "_CGROUP", tmp_path)

    assert available_memory_bytes() == 4_096_000


def test_this_machine_has_memory():
    assert available_memory_bytes() > 1 << 20


def test_what_does_not_fit_is_said_with_both_numbers(monkeypatch):
    monkeypatch.setattr(access, "available_memory_bytes", lambda: 1 << 30)

    with pytest.raises(
        BolusError, match=r"maps needs 2\.00 GiB of memory, 1\.00 GiB are free"
    ) as e:
        require_memory(2 << 30, purpose="maps")

    assert e.value.code is Code.MEMORY


def test_a_digest_is_that_of_the_standard(tmp_path):
    (tmp_path / "a").write_bytes(b"abc")

    # FIPS 180-2, example of one block
    assert file_digest(tmp_path / "a").startswith("ba7816bf8f01cfea414140de5dae2223")


def test_a_small_file_that_is_large_is_refused(tmp_path):
    (tmp_path / "a").write_bytes(b"x" * 11)

    with pytest.raises(BolusError) as caught:
        access.read_bytes(tmp_path / "a", limit=10)

    assert caught.value.code is Code.FILE_BOMB
