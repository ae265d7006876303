"""JSON sidecars: settings in BIDS names and units, checked for the units people really write."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType

import numpy as np

from bolus.core import Acquisition, Assumed, Step
from bolus.core.arrays import Curve
from bolus.errors import Code, FileError, MetadataError
from bolus.io.access import named, read_bytes, stem_of
from bolus.io.plausible import require_plausible

_LIMIT_BYTES = 16 << 20

FIELD_KEYS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "echo_time_s": ("EchoTime",),
        "repetition_time_s": ("RepetitionTimeExcitation", "RepetitionTime"),
        "flip_angle_deg": ("FlipAngle",),
        "field_strength_t": ("MagneticFieldStrength", "FieldStrength"),
        "contrast_agent": ("ContrastAgentName",),
        "contrast_dose_mmol_per_kg": ("ContrastDose",),
        "preload_dose_mmol_per_kg": ("PreloadDose",),
        "injection_rate_ml_per_s": ("InjectionRate",),
        "sequence": ("PerfSequence",),
    }
)
"""Field of `Acquisition` -> sidecar keys, the first that is there counts."""

_TEXT_FIELDS = frozenset({"contrast_agent", "sequence"})
_SMALL = {"flip_angle_deg": "small_flip_angle_deg"}
_SOURCES_KEY = "ValueSources"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Sidecar:
    """What a sidecar says, before it meets the header and the user.

    `frame_step_s` is BIDS RepetitionTime, the time between frames; `frame_times_s` is VolumeTiming
    or FrameTimesStart. `values` is the whole file, `digest` its SHA-256.
    """

    acquisition: Acquisition
    frame_step_s: float | None
    frame_times_s: Curve | None
    haematocrit: float | None
    injection_frame: int | None
    values: Mapping[str, object]
    digest: str


NO_SIDECAR = Sidecar(
    acquisition=Acquisition(),
    frame_step_s=None,
    frame_times_s=None,
    haematocrit=None,
    injection_frame=None,
    values=MappingProxyType({}),
    digest="",
)


def find_sidecar(image: Path) -> Path | None:
    """Return the JSON file beside an image, or `None`."""
    beside = image.with_name(stem_of(image) + ".json")
    with named(beside):
        return beside if beside.is_symlink() or beside.exists() else None


def read_sidecar(path: Path | str, *, one_of_several_angles: bool = False) -> Sidecar:
    """Read a JSON sidecar strictly: one object, no key twice, no NaN, numbers as numbers.

    Args:
        path: the file.
        one_of_several_angles: whether the image is one of several flip angles, which may be as
            small as 1 degree; alone, an angle below 3.2 is taken for radians.

    Raises:
        FileError: missing, too large, or not such JSON.
        MetadataError: a number is out of its plausible range; the message guesses the unit.
    """
    path = Path(path)
    content = read_bytes(path, limit=_LIMIT_BYTES)
    with named(path):
        values = parse_object(content)
        return Sidecar(
            acquisition=_acquisition(values, one_of_several_angles),
            frame_step_s=_frame_step(values),
            frame_times_s=_frame_times(values),
            haematocrit=_plausible(values, "Hematocrit", "haematocrit"),
            injection_frame=_frame(values),
            values=MappingProxyType(values),
            digest=hashlib.sha256(content).hexdigest(),
        )


def sidecar_values(
    acquisition: Acquisition, *, frame_step_s: float | None = None
) -> dict[str, object]:
    """Return an acquisition in sidecar keys, so that reading gives back exactly the same.

    Args:
        acquisition: what to write; absent values are left out.
        frame_step_s: time between frames [s]; if absent, the repetition time stands for it.
    """
    values: dict[str, object] = {}
    sources: dict[str, object] = {}
    known = dict(acquisition.sources)
    for field, keys in FIELD_KEYS.items():
        value = getattr(acquisition, field)
        if value is None:
            continue
        key = keys[0]
        if field == "repetition_time_s" and frame_step_s is None:
            key = "RepetitionTime"
        if isinstance(value, Assumed):
            sources[key] = {"Source": value.source, "Reason": value.reason, "Assumed": True}
            values[key] = value.value
        else:
            values[key] = value
            if field in known:
                sources[key] = {"Source": known[field]}
    if frame_step_s is not None:
        values["RepetitionTime"] = frame_step_s
    if sources:
        values[_SOURCES_KEY] = sources
    return values


def earlier_steps(sidecar: Sidecar) -> tuple[Step, ...]:
    """Return what bolus says in a sidecar of its own was done to the image before.

    Args:
        sidecar: of a map or series that bolus has written; of any other image there are none.

    Raises:
        FileError: the list is not as bolus writes it.
    """
    own = sidecar.values.get("Bolus")
    listed = own.get("Steps", []) if isinstance(own, dict) else []
    return tuple(_step(one) for one in (listed if isinstance(listed, list) else [None]))


def _step(one: object) -> Step:
    values = one if isinstance(one, dict) else {}
    function, source = values.get("function"), values.get("source", "")
    arguments = values.get("arguments", {})
    if not (isinstance(function, str) and isinstance(source, str) and isinstance(arguments, dict)):
        raise _invalid('"Bolus" does not list its steps as bolus does')
    plain = {k: v for k, v in arguments.items() if isinstance(v, str | int | float)}
    return Step(function, plain, source=source)


def parse_object(content: bytes) -> dict[str, object]:
    """Return one JSON object, or say what is wrong with the text.

    Raises:
        FileError: not UTF-8, not JSON, not an object, a key twice, or a number that is none.
    """
    try:
        parsed = json.loads(
            content.decode("utf-8-sig"), object_pairs_hook=_once, parse_constant=_no_constant
        )
    except UnicodeDecodeError as failure:
        raise _invalid(f"is not UTF-8 text (byte {failure.start})") from failure
    except json.JSONDecodeError as failure:
        raise _invalid(
            f"is not JSON ({failure.msg}, line {failure.lineno} column {failure.colno})"
        ) from failure
    except (ValueError, RecursionError) as failure:
        if isinstance(failure, FileError):
            raise
        raise _invalid("holds a number or a nesting beyond any sidecar") from failure
    if not isinstance(parsed, dict):
        raise _invalid(f"holds a {type(parsed).__name__} where an object {{...}} is needed")
    return parsed


def _once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise _invalid(f'says "{twice}" twice', "keep the one that is right")
    return found


def _no_constant(name: str) -> object:
    raise _invalid(f"holds {name}, which is no number", "leave the key out if it is not known")


def _acquisition(values: Mapping[str, object], any_angle: bool) -> Acquisition:
    settings: dict[str, float | Assumed | str] = {}
    sources: list[tuple[str, str]] = []
    written = values.get(_SOURCES_KEY)
    notes = written if isinstance(written, dict) else {}
    for field, keys in FIELD_KEYS.items():
        key = next((k for k in keys if values.get(k) is not None), None)
        if key is None:
            continue
        value: float | Assumed | str | None = (
            _text(values, key)
            if field in _TEXT_FIELDS
            else _plausible(values, key, _SMALL.get(field, field) if any_angle else field)
        )
        if value is None:
            continue
        note = notes.get(key)
        note = note if isinstance(note, dict) else {}
        if note.get("Assumed") is True and isinstance(value, float):
            value = Assumed(
                value=value, reason=str(note.get("Reason", "")), source=str(note.get("Source", ""))
            )
            sources.append((field, "assumed"))
        else:
            sources.append((field, str(note.get("Source", "sidecar"))))
        settings[field] = value
    return replace(Acquisition(), **settings, sources=tuple(sources))  # type: ignore[arg-type]


def _plausible(values: Mapping[str, object], key: str, field: str) -> float | None:
    number = _number(values, key)
    return None if number is None else require_plausible(field, number, key=f'"{key}"')


def _frame_step(values: Mapping[str, object]) -> float | None:
    """Return RepetitionTime where it can be a frame spacing; converters also put the excitation."""
    step = _number(values, "RepetitionTime")
    if step is not None and 1e-3 <= step < 0.1:
        return None
    return _plausible(values, "RepetitionTime", "frame_step_s")


def _number(values: Mapping[str, object], key: str) -> float | None:
    value = values.get(key)
    if value is None:
        return None
    if isinstance(value, list):
        raise MetadataError(
            Code.METADATA_CONFLICT,
            f'"{key}" lists {len(value)} values where one number is needed',
            mend="write one sidecar per echo, with the number of that echo",
        )
    if isinstance(value, str):
        raise _invalid(f'"{key}" is the text "{value[:40]}"', "write the number without quotes")
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _invalid(f'"{key}" is {_kind(value)} where a number is needed')
    if abs(value) > 1e12:
        raise _invalid(f'"{key}" is beyond 1e12', "write the number in seconds, degrees or tesla")
    return float(value)


def _text(values: Mapping[str, object], key: str) -> str | None:
    value = values.get(key)
    if value is not None and not isinstance(value, str):
        raise _invalid(f'"{key}" is {_kind(value)} where text is needed')
    return value


def _frame(values: Mapping[str, object]) -> int | None:
    number = _number(values, "InjectionFrame")
    if number is not None and (number < 0 or number != int(number)):
        raise _invalid(f'"InjectionFrame" is {number:g}, expected a whole number from 0 on')
    return None if number is None else int(number)


def _frame_times(values: Mapping[str, object]) -> Curve | None:
    found = []
    for key in ("VolumeTiming", "FrameTimesStart"):
        times = values.get(key)
        if times is None:
            continue
        if not isinstance(times, list):
            raise _invalid(f'"{key}" is {_kind(times)} where a list of times in s is needed')
        wrong = [t for t in times if isinstance(t, bool) or not isinstance(t, int | float)]
        if wrong:
            raise _invalid(f'"{key}" holds {_kind(wrong[0])} where a number in s is needed')
        found.append(np.array(times, dtype=np.float64))
    if len(found) == 2 and not np.array_equal(found[0], found[1]):
        raise MetadataError(
            Code.METADATA_CONFLICT,
            '"VolumeTiming" and "FrameTimesStart" give different times',
            mend="keep the one that is right",
        )
    return found[0] if found else None


def _kind(value: object) -> str:
    names = {str: "text", bool: "true or false", dict: "an object", list: "a list"}
    return names.get(type(value), "null" if value is None else "a number")


def _invalid(what: str, mend: str = "correct the JSON file") -> FileError:
    return FileError(Code.SIDECAR_INVALID, what, mend=mend)
