"""Which files a quantified exam has to have, known from what was asked before it is read."""

from collections.abc import Iterable, Mapping, Set
from types import MappingProxyType

from bolus import io
from bolus.core.quantities import INTERVAL_KEYS
from bolus.workflows.config import Config
from bolus.workflows.dce_inputs import DcePaths
from bolus.workflows.inputs import DscPaths
from bolus.workflows.outputs import REPORT_NAME, Names, dce_method, dsc_method

_FLOW: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {"vascular": ("cbf", "mtt", "delay"), "svd": ("cbf", "mtt", "tmax")}
)
_DSC_MAPS = ("cbv", "ncbv", "ncbf", "srcbv", "bat", "ttp", "ph", "psr")
_LEAKAGE_MAPS = ("k1", "k2")
_MODELS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "extended_tofts": ("ktrans", "ve", "vp", "kep"),
        "tofts": ("ktrans", "ve", "kep"),
        "patlak": ("ktrans", "vp"),
        "two_compartment_uptake": ("fp", "ps", "vp"),
        "two_compartment_exchange": ("fp", "ps", "ve", "vp"),
        "best": ("ktrans", "ve", "vp", "kep"),
    }
)
_QUALITY_OF_FIT = ("r2", "residual")
_AREAS = ("iauc60", "ssarea")
_WITHOUT_ERROR = frozenset({"tmax", "bat", "ttp", "k1", *_QUALITY_OF_FIT, *_AREAS})


def dsc_manifest(paths: DscPaths, config: Config, names: Names) -> io.Manifest:
    """Return the files of a DSC exam.

    Args:
        paths: what was given: a tumour is written again where there is one.
        config: its `dsc` section decides which maps there are.
        names: how files are called.

    Example:
        >>> from pathlib import Path
        >>> from bolus.workflows.outputs import FlatNames
        >>> stated = dsc_manifest(DscPaths(series=Path("a.nii")), Config(), FlatNames("a"))
        >>> "a_desc-matched_ncbv.nii.gz" in stated.must
        True
    """
    settings = config.dsc
    flow = "vascular" if settings.flow_method == "vascular" else "svd"
    leakage = _LEAKAGE_MAPS if settings.leakage_correction != "none" else ()
    keys = (*_DSC_MAPS, *_FLOW[flow], *leakage)
    # a series of irregular times has no tmax beside the vascular model
    return _exam(
        names, dsc_method(config.dsc.leakage_correction),
        must=keys, may=("tmax",),
        masks=("brain", "whitematter", "leakagereference"),
        labels=("tumour",) if paths.tumour else (),
        tables={names.table("aif")},
    )  # fmt: skip


def dce_manifest(paths: DcePaths, config: Config, names: Names) -> io.Manifest:
    """Return the files of a DCE exam.

    Args:
        paths: what was given: a tumour and a reference are written again where they are.
        config: its `dce` section decides which maps there are.
        names: how files are called.
    """
    settings = config.dce
    native = ("t10",) if settings.t10_s is None else ()
    delay = ("delay",) if settings.delay == "voxel" else ()
    chosen = ("model",) if settings.model == "best" else ()
    network = settings.intervals == "network"
    said = [key for keys in INTERVAL_KEYS.values() for key in keys] if network else []
    plain = {key for key in said if not key.endswith("median")}
    measured = {names.table("aif", description=name) for name in ("blood", "vein")}
    return _exam(
        names, dce_method(settings.model),
        must=(*_MODELS[settings.model], *delay, *_QUALITY_OF_FIT, *native, *said), may=_AREAS,
        masks=(
            "brain", *(("whitematter",) if paths.reference_mask else ()),
            *(("unlike",) if network else ()),
        ),
        labels=(*chosen, *(("tumour",) if paths.tumour else ())),
        tables={names.table("aif", description="plasma")},
        plain=plain | ({"t10"} if paths.t1_map else set()),
    ) | io.Manifest(must=(), may=measured)  # fmt: skip


def _exam(
    names: Names,
    method: str,
    *,
    must: Iterable[str],
    may: Iterable[str],
    masks: Iterable[str],
    labels: Iterable[str],
    tables: Iterable[str],
    plain: Set[str] = frozenset(),
) -> io.Manifest:
    """Join the files of maps, masks, labels and tables; a report and three tables are always.

    `plain` maps have no standard error, beside those that never have one.
    """
    stems = [names.mask(name) for name in masks]
    always = {names.table(name) for name in ("regions", "motion", "quality")}
    files = io.Manifest(must={REPORT_NAME, *tables, *always, *_images(stems)})
    for name in labels:
        files |= io.Manifest(must={*_images([names.segmentation(name)]),
                                   f"{names.segmentation(name)}.tsv"})  # fmt: skip
    for key in must:
        files |= io.map_manifest(
            names.map(key, method=method), with_error=key not in _WITHOUT_ERROR | plain
        )
    for key in may:
        stated = io.map_manifest(names.map(key, method=method), with_error=False)
        files |= io.Manifest(must=(), may=stated.must)
    return files


def _images(stems: Iterable[str]) -> set[str]:
    return {f"{stem}{ending}" for stem in stems for ending in (".nii.gz", ".json")}
