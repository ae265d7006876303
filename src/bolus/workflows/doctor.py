"""Is this installation able to do its job? What the machine has, and what is missing."""

import importlib
import importlib.metadata
import os
import platform
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

from bolus import io

_NEEDED = ("numpy", "scipy", "numba", "nibabel", "nilearn", "matplotlib", "jinja2")
_MEMORY_GB = 4.0
_DISK_GB = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One thing that was looked at: whether it is well, what was found, and the mend if not."""

    name: str
    well: bool
    found: str
    mend: str = ""


def examine(folder: Path) -> tuple[Check, ...]:
    """Look at Python, the libraries, memory, and the disk of a folder."""
    return (_python(), *(_library(name) for name in _NEEDED), _memory(), _disk(folder), _cache())


def _python() -> Check:
    return Check(
        name="Python",
        well=sys.version_info >= (3, 11),
        found=f"{platform.python_version()} on {platform.system()} {platform.machine()}, "
        f"{os.cpu_count()} cores",
        mend="install Python 3.11 or newer",
    )


def _library(name: str) -> Check:
    try:
        importlib.import_module(name)
        version = importlib.metadata.version(name)
    except (ImportError, importlib.metadata.PackageNotFoundError) as error:
        return Check(name=name, well=False, found=str(error), mend=f"pip install {name.lower()}")
    return Check(name=name, well=True, found=version)


def _memory() -> Check:
    free = io.available_memory_bytes() / 1e9
    return Check(
        name="free memory",
        well=free >= _MEMORY_GB,
        found=f"{free:.1f} GB",
        mend=f"close other programs: a whole-brain series wants {_MEMORY_GB:g} GB",
    )


def _disk(folder: Path) -> Check:
    free = shutil.disk_usage(folder).free / 1e9
    return Check(
        name="free disk here",
        well=free >= _DISK_GB,
        found=f"{free:.1f} GB",
        mend=f"free {_DISK_GB:g} GB or choose another output folder",
    )


def _cache() -> Check:
    """Compiled kernels are kept beside the package; without that every start compiles anew."""
    place = Path(__file__).parents[1] / "quantify"
    well = os.access(place, os.W_OK) or "NUMBA_CACHE_DIR" in os.environ
    return Check(
        name="kernel cache",
        well=well,
        found="writable" if well else "not writable: kernels compile at every start",
        mend="set NUMBA_CACHE_DIR to a folder you may write to",
    )
