"""What every use of a network asks first: is torch there, which weights, and may they be used."""

from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from types import MappingProxyType

import numpy as np

from bolus.core import Acquisition, ModelCard, TimeAxis, Weights
from bolus.errors import Code, ConfigError, FileError, MetadataError, ResourceError
from bolus.io.weights import read_weights, shipped_weights

_LIBRARIES = ("torch", "pytorch_lightning", "safetensors")
_SHIPPED: Mapping[str, str] = MappingProxyType(
    {"curve-sequence": "sequence-idh", "frames": "frame-enhancer", "spacetime": "space-time-field"}
)
"""Names of shipped weights, of kinds that may be shipped for several outcomes."""


def require_networks() -> None:
    """Raise unless the libraries that networks need are installed.

    Raises:
        ResourceError: one of them is absent.
    """
    absent = [name for name in _LIBRARIES if find_spec(name) is None]
    if absent:
        raise ResourceError(
            Code.EXTRA_MISSING,
            f"{absent[0]} is not installed, which networks need",
            mend='install it with: pip install "bolus[dl]"',
        )


def require_one_source(data: Path | None, simulated: int | None, *, fewest: int) -> None:
    """Raise unless curves come either from a dataset or from enough simulated patients.

    Args:
        data: the dataset.
        simulated: how many patients.
        fewest: simulated patients that suffice.

    Raises:
        ConfigError: both, none, or too few.
    """
    if (data is None) == (simulated is None):
        raise ConfigError(
            Code.USAGE,
            "curves come from a dataset or from simulated patients",
            mend="give --data FOLDER or --simulated NUMBER, and not both",
        )
    if simulated is not None and simulated < fewest:
        raise ConfigError(
            Code.USAGE,
            f"{simulated} patients are too few to train and to test on",
            mend=f"give at least {fewest}",
            where="--simulated",
        )


def chosen_weights(path: Path | None, *, kind: str) -> Weights:
    """Read the weights that a user named, or those of the same kind that come with bolus.

    Args:
        path: a file of weights, or the folder of `bolus train`; None for the shipped ones.
        kind: of the network.

    Raises:
        FileError: missing, damaged, or of another kind.
        ResourceError: a library is absent.
    """
    require_networks()
    if path is None:
        return shipped_weights(_SHIPPED.get(kind, kind))
    weights = read_weights(weights_file(path))
    if weights.card.kind != kind:
        raise FileError(
            Code.WEIGHTS_INVALID,
            f"is a network of kind {weights.card.kind}, where {kind} is needed",
            mend="name weights of that kind, or leave them out for those that come with bolus",
            where=str(path),
        )
    return weights


def weights_file(path: Path) -> Path:
    """Return the file of weights that a folder of `bolus train` holds; a file as it is."""
    found = sorted(path.glob("*.safetensors")) if path.is_dir() else []
    return found[0] if len(found) == 1 else path


def protocol_of(time: TimeAxis, acquisition: Acquisition) -> Mapping[str, float | None]:
    """Return what a network may be limited to; None where it is not known.

    Args:
        time: of the series.
        acquisition: of the series.

    Example:
        >>> found = protocol_of(TimeAxis.regular(60, step_s=1.5), Acquisition(echo_time_s=0.03))
        >>> found["interval_s"], found["frames"], found["echo_time_s"], found["flip_angle_deg"]
        (1.5, 60.0, 0.03, None)
    """
    return {
        "interval_s": float(np.median(np.diff(time.seconds))),
        "duration_s": time.duration_s,
        "frames": float(len(time)),
        "echo_time_s": _known(acquisition.echo_time_s),
        "repetition_time_s": _known(acquisition.repetition_time_s),
        "flip_angle_deg": _known(acquisition.flip_angle_deg),
        "field_strength_t": _known(acquisition.field_strength_t),
    }


def require_protocol(card: ModelCard, time: TimeAxis, acquisition: Acquisition) -> None:
    """Refuse a series that the network was not trained for.

    Args:
        card: of the network.
        time: of the series.
        acquisition: of the series.

    Raises:
        MetadataError: a value is outside the range of the training, or not known.
    """
    if outside := card.protocol.outside(protocol_of(time, acquisition)):
        raise MetadataError(
            Code.PROTOCOL_OUTSIDE,
            f"{card.name} was not trained for this series: {'; '.join(outside)}",
            mend="use a network that was trained for such series (bolus train), or state what is "
            "missing in the settings",
        )


def _known(value: object) -> float | None:
    number = getattr(value, "value", value)
    return float(number) if isinstance(number, int | float) else None
