"""Settings of a run: strict TOML, checked here and unpacked here; nothing below takes a config."""

import difflib
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from bolus.errors import Code, ConfigError

Seconds = Annotated[float, Field(gt=0)]
_LIMIT_BYTES = 1 << 20
Fraction = Annotated[float, Field(gt=0, lt=1)]


class _Section(BaseModel):
    """Unknown keys are errors; values are not changed after reading."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=False)


class AcquisitionSettings(_Section):
    """What the scanner did; states what the sidecar does not, and wins over it.

    Echo time, repetition time, flip angle and doses are those of DSC; field and agent of both.
    """

    echo_time_s: Seconds | None = None
    repetition_time_s: Seconds | None = None
    flip_angle_deg: Annotated[float, Field(gt=0, le=180)] | None = None
    field_strength_t: Annotated[float, Field(gt=0, le=12)] | None = None
    contrast_agent: str | None = None
    contrast_dose_mmol_per_kg: Annotated[float, Field(ge=0, le=1)] | None = None
    preload_dose_mmol_per_kg: Annotated[float, Field(ge=0, le=1)] | None = None
    injection_rate_ml_per_s: Annotated[float, Field(gt=0, le=20)] | None = None


class PatientSettings(_Section):
    """What was measured in the patient. Absent: the literature's value, shown as assumed."""

    haematocrit_large_vessels: Fraction | None = None
    haematocrit_small_vessels: Fraction | None = None


class DscSettings(_Section):
    """How a DSC series becomes maps."""

    motion_correction: bool = True
    flow_method: Literal["vascular", "ssvd", "csvd", "osvd", "tikhonov"] = "vascular"
    leakage_correction: Literal["matched", "bsw", "bidirectional", "none"] = "matched"
    aif: Literal["auto", "network"] = "auto"
    aif_voxels: Annotated[int, Field(ge=1, le=100)] = 10


class DceSettings(_Section):
    """How a DCE series becomes maps, and what the scanner did in it.

    The DSC series of the same session has another echo, repetition time and flip angle.
    """

    echo_time_s: Seconds | None = None
    repetition_time_s: Seconds | None = None
    """Of the excitations."""
    frame_time_s: Seconds | None = None
    flip_angle_deg: Annotated[float, Field(gt=0, le=180)] | None = None
    motion_correction: bool = True
    model: Literal[
        "extended_tofts", "tofts", "patlak", "two_compartment_uptake",
        "two_compartment_exchange", "best",
    ] = "extended_tofts"  # fmt: skip
    delay: Literal["none", "patient", "voxel"] = "patient"
    """"patient": one delay for all voxels and, for models without flow, one dispersion."""
    kep_max_per_min: Annotated[float, Field(gt=0, le=60)] = 5.0
    """Faster than this is plasma on its way through, not leakage."""
    aif: Literal[
        "auto", "dsc", "network", "learned", "parker", "georgiou", "orton_exponential",
        "orton_cosine",
    ] = "auto"  # fmt: skip
    intervals: Literal["fit", "network"] = "fit"
    """"network": Ktrans, ve and vp with calibrated intervals besides those of the fit."""
    aif_voxels: Annotated[int, Field(ge=1, le=100)] = 10
    aif_medium: Literal["blood", "plasma"] | None = None
    t10_s: Seconds | None = None
    relaxivity_per_mmolar_s: Annotated[float, Field(gt=0, le=50)] | None = None


class EnhanceSettings(_Section):
    """What is done to series before they are quantified, in `bolus run`: a step of its own."""

    dsc: Literal["none", "local_pca", "frames", "super_resolution"] = "none"
    dce: Literal["none", "local_pca", "frames"] = "none"


class BurdenSettings(_Section):
    """Fractional tumour burden: nCBV below `low`, between, and above `high`."""

    low: Annotated[float, Field(gt=0)] = 1.0
    high: Annotated[float, Field(gt=0)] = 1.75


class HabitatSettings(_Section):
    """How habitats are found and followed from visit to visit."""

    features: Annotated[tuple[str, ...], Field(min_length=1)] = ("ncbv", "adc")
    """What a model is fitted on; a model that is there says itself what it needs."""
    lesion: tuple[str, ...] = ()
    """Labels in which habitats are looked for; empty: the enhancing ones."""
    adapt: Literal["untreated", "first", "never"] = "untreated"
    """To which visit a model that knows how patients differ is adapted: the first if it was before
    treatment, the first in any case, or none. Treated lesions hide one habitat or another."""
    registration: Literal["rigid", "affine", "deformable"] = "affine"
    resamples: Annotated[int, Field(ge=20, le=10_000)] = 200
    """Repeats of a visit with other noise, from which intervals come."""
    seed: Annotated[int, Field(ge=0)] = 1


class CodesSettings(_Section):
    """Perfusion codes of the tumour's signal curves: a step of `bolus run`, and its network."""

    enabled: bool = False
    """A step of its own in `bolus run`, for sessions with DSC and a tumour."""
    weights: Path | None = None
    """Of `bolus train codes`; None: those that come with bolus."""
    positions: Annotated[int, Field(ge=1, le=6)] = 3
    """Places in time at which a curve is given a sub-code; of a training."""
    codes_each: Annotated[int, Field(ge=2, le=8)] = 2
    """Sub-codes to choose from at each place: positions x codes give codes_each ** positions."""


class TrainSettings(_Section):
    """How `bolus train` learns; None: the recipe of the network."""

    epochs: Annotated[int, Field(ge=1, le=10_000)] | None = None
    batch_size: Annotated[int, Field(ge=1, le=1 << 20)] | None = None
    learning_rate: Annotated[float, Field(gt=0, lt=1)] | None = None
    patience: Annotated[int, Field(ge=1)] | None = None
    precision: Literal["32", "bf16-mixed", "16-mixed"] = "32"
    network: str = "attention_lstm"
    """Of the sequence model: a name of the table of sequence networks."""
    members: Annotated[int, Field(ge=2, le=50)] = 5
    """Networks of an ensemble, from whose spread the interval of a prediction comes."""
    seeds: Annotated[int, Field(ge=1, le=50)] = 5
    """Repeats with other seeds, whose spread the table of results shows."""
    seed: Annotated[int, Field(ge=0)] = 1
    validation: Annotated[float, Field(gt=0, lt=1)] = 0.15
    test: Annotated[float, Field(gt=0, lt=1)] = 0.4
    """Shares of the patients; the rest trains. Of each scanner in these shares."""
    label: str = "idh"
    positive: str = "mutant"
    """What is predicted: a label of the patients, and the value whose probability is given."""
    threads: Annotated[int, Field(ge=1, le=64)] = 1
    """Of the processor; the same number gives the same bytes."""
    devices: Annotated[int, Field(ge=1, le=64)] = 1
    """GPUs, or processes of the CPU, that share every batch."""


class Config(_Section):
    """The whole file. Every section and every key may be left out."""

    acquisition: AcquisitionSettings = AcquisitionSettings()
    patient: PatientSettings = PatientSettings()
    dsc: DscSettings = DscSettings()
    dce: DceSettings = DceSettings()
    enhance: EnhanceSettings = EnhanceSettings()
    burden: BurdenSettings = BurdenSettings()
    habitats: HabitatSettings = HabitatSettings()
    codes: CodesSettings = CodesSettings()
    train: TrainSettings = TrainSettings()


def read_config(path: Path | None) -> Config:
    """Read a settings file, or return the settings of an empty one.

    Raises:
        ConfigError: not TOML, an unknown key (with a hint), or a value that is not allowed.
    """
    if path is None:
        return Config()
    try:
        if path.stat().st_size > _LIMIT_BYTES:
            raise ConfigError(
                Code.FILE_BOMB,
                f"has {path.stat().st_size} bytes where at most {_LIMIT_BYTES} are expected",
                mend="check that this is the settings file",
                where=str(path),
            )
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ConfigError(
            Code.FILE_MISSING,
            "the settings file does not exist",
            mend="check --config",
            where=str(path),
        ) from None
    except (UnicodeDecodeError, IsADirectoryError) as error:
        raise ConfigError(
            Code.CONFIG_UNREADABLE,
            f"not a text file ({error.__class__.__name__})",
            mend="give a TOML file; see docs/reference/config.md",
            where=str(path),
        ) from None
    try:
        return parse_config(text)
    except ConfigError as error:
        raise error.at(path) from None


def parse_config(text: str) -> Config:
    """Check settings written in TOML.

    Raises:
        ConfigError: see `read_config`.

    Example:
        >>> parse_config('dsc.flow_method = "osvd"').dsc.flow_method
        'osvd'
    """
    try:
        content = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(
            Code.CONFIG_UNREADABLE, f"not TOML: {error}", mend="see docs/reference/config.md"
        ) from None
    try:
        return Config.model_validate(content)
    except ValidationError as error:
        raise _explained(error) from None


def config_with(config: Config, section: str, values: Mapping[str, object]) -> Config:
    """Return settings with some keys of one section replaced, and checked as in a file.

    Raises:
        ConfigError: a value is not allowed.

    Example:
        >>> config_with(Config(), "dce", {"model": "patlak"}).dce.model
        'patlak'
    """
    content = config.model_dump()
    try:
        return Config.model_validate({**content, section: {**content[section], **values}})
    except ValidationError as error:
        raise _explained(error) from None


def known_keys() -> tuple[str, ...]:
    """Return every setting as `section.key`."""
    return tuple(
        f"{section}.{key}"
        for section, field in Config.model_fields.items()
        for key in type(field.default).model_fields
    )


def _explained(error: ValidationError) -> ConfigError:
    first = error.errors()[0]
    name = ".".join(str(part) for part in first["loc"])
    if first["type"] == "extra_forbidden":
        names = (*known_keys(), *Config.model_fields)
        close = difflib.get_close_matches(name, names, n=1, cutoff=0.6)
        hint = f"did you mean {close[0]}?" if close else "see docs/reference/config.md"
        return ConfigError(Code.CONFIG_UNKNOWN_KEY, f"{name} is not a setting", mend=hint)
    given = first["input"]
    if "haematocrit" in name and isinstance(given, int | float) and 10 <= given <= 70:
        return ConfigError(
            Code.CONFIG_INVALID,
            f"{name} is {given:g}, which looks like a percentage: {given / 100:.4g}",
            mend=f"write {given / 100:.4g} if that is meant",
        )
    came = f", got {first['input']!r}" if not isinstance(first["input"], dict) else ""
    return ConfigError(
        Code.CONFIG_INVALID, f"{name}: {first['msg']}{came}", mend="see docs/reference/config.md"
    )
