"""What a user says about DICOM series: settings that no header tells, and what a series is."""

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from bolus.core import Acquisition
from bolus.errors import Code, ConfigError
from bolus.io.access import named, read_bytes
from bolus.io.dicom_kind import KINDS
from bolus.io.plausible import require_plausible

_LIMIT_BYTES = 1 << 20
_TEXTS = ("subject", "session", "contrast_agent")
_NUMBERS = (
    "contrast_dose_mmol_per_kg", "preload_dose_mmol_per_kg", "injection_rate_ml_per_s",
    "haematocrit", "field_strength_t",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportAnswers:
    """Labels, settings and kinds; what is `None` is not stated.

    `series` is the number or the SeriesInstanceUID of a series -> one of `KINDS`.
    """

    subject: str | None = None
    session: str | None = None
    contrast_agent: str | None = None
    contrast_dose_mmol_per_kg: float | None = None
    preload_dose_mmol_per_kg: float | None = None
    injection_rate_ml_per_s: float | None = None
    haematocrit: float | None = None
    field_strength_t: float | None = None
    series: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in _NUMBERS:
            value = getattr(self, name)
            if value is not None:
                require_plausible(name, value)
        for name, kind in self.series.items():
            if kind not in KINDS:
                raise ConfigError(
                    Code.USAGE,
                    f"series {name} is called '{kind[:20]}', expected {', '.join(KINDS)}",
                    mend="write --series NUMBER=KIND",
                )

    def acquisition(self) -> Acquisition:
        """Return the settings among the answers."""
        return Acquisition(
            contrast_agent=self.contrast_agent,
            contrast_dose_mmol_per_kg=self.contrast_dose_mmol_per_kg,
            preload_dose_mmol_per_kg=self.preload_dose_mmol_per_kg,
            injection_rate_ml_per_s=self.injection_rate_ml_per_s,
            field_strength_t=self.field_strength_t,
        )

    def over(self, other: "ImportAnswers") -> "ImportAnswers":
        """Return these answers, and those of `other` where these have none."""
        plain = {
            f.name: own if (own := getattr(self, f.name)) is not None else getattr(other, f.name)
            for f in fields(self)
            if f.name != "series"
        }
        return ImportAnswers(**plain, series={**other.series, **self.series})


def read_answers(path: Path) -> ImportAnswers:
    """Read answers from a TOML file: the fields of `ImportAnswers`, and a table `[series]`.

    Raises:
        ConfigError: it is not TOML, or holds something else.
    """
    content = read_bytes(path, limit=_LIMIT_BYTES)
    with named(path):
        try:
            said = tomllib.loads(content.decode())
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as failure:
            raise ConfigError(
                Code.CONFIG_UNREADABLE, "is not TOML", mend="correct it; see bolus import --help"
            ) from failure
        known = {f.name for f in fields(ImportAnswers)}
        for key, value in said.items():
            if key not in known:
                raise ConfigError(
                    Code.CONFIG_UNKNOWN_KEY,
                    f"'{key[:40]}' is no answer; known are {', '.join(sorted(known))}",
                    mend="correct or remove it",
                )
            _require_kind(key, value)
        plain: dict[str, Any] = {k: float(v) if k in _NUMBERS else v for k, v in said.items()}
        return ImportAnswers(**plain)


def _require_kind(key: str, value: object) -> None:
    """Raise unless an answer has the type of its field."""
    if key == "series":
        well = isinstance(value, dict) and all(isinstance(kind, str) for kind in value.values())
    elif key in _TEXTS:
        well = isinstance(value, str)
    else:
        well = isinstance(value, int | float) and not isinstance(value, bool)
    if not well:
        wanted = "a table" if key == "series" else "text" if key in _TEXTS else "a number"
        raise ConfigError(
            Code.CONFIG_INVALID, f"'{key}' is no {wanted.removeprefix('a ')}",
            mend=f"write {wanted}",
        )  # fmt: skip


def parse_choices(texts: Iterable[str]) -> dict[str, str]:
    """Return what `--series NUMBER=KIND` says: number or UID -> kind.

    Raises:
        ConfigError: one has no equals sign.

    Example:
        >>> from bolus.workflows.import_answers import parse_choices
        >>> parse_choices(["3=dsc"])
        {'3': 'dsc'}
    """
    found = {}
    for text in texts:
        name, sign, kind = text.partition("=")
        if not sign:
            raise ConfigError(
                Code.USAGE, f"--series is '{text[:40]}'", mend="write --series NUMBER=KIND"
            )
        found[name.strip()] = kind.strip()
    return found
