"""A frozen score of habitats as a file: plain JSON with a digest over itself."""

import hashlib
import json
import math
from pathlib import Path

import numpy as np

from bolus.errors import BolusError, Code, FileError
from bolus.habitats.patient_score import FrozenScore
from bolus.io.access import named, read_bytes
from bolus.io.sidecar import parse_object

_KIND = "bolus habitat score"
_FORMAT = 1
_LIMIT_BYTES = 4 << 20


def score_bytes(score: FrozenScore) -> bytes:
    """Return a score as it is written; equal scores are equal bytes.

    Args:
        score: from a cohort.
    """
    body = {
        "Kind": _KIND,
        "Format": _FORMAT,
        "Outcome": score.outcome,
        "CutOffsMl": dict(score.cut_offs_ml),
        "Habitats": list(score.habitats),
        "LimitsMl": [v if math.isfinite(v) else None for v in score.limits_ml.tolist()],
        "LogHazardRatiosPerMl": score.log_hazard_ratios.tolist(),
        "Covariance": score.covariance.tolist(),
        "Model": score.model,
        "FittedOn": sorted(score.fitted_on),
        "Simulated": score.simulated,
    }
    return (json.dumps({**body, "Digest": _digest(body)}, indent=1) + "\n").encode()


def read_habitat_score(path: Path | str) -> FrozenScore:
    """Read a score that `bolus habitats score` wrote.

    Raises:
        FileError: missing, altered, or something else.
    """
    path = Path(path)
    values = parse_object(read_bytes(path, limit=_LIMIT_BYTES))
    with named(path):
        body = {key: value for key, value in values.items() if key != "Digest"}
        if body.get("Kind") != _KIND or body.get("Format") != _FORMAT:
            raise _invalid("is no score of habitats, or one of another version of bolus")
        if values.get("Digest") != _digest(body):
            raise _invalid("was altered after it had been written")
        try:
            return _score(body)
        except (KeyError, TypeError, ValueError, AttributeError) as failure:
            if isinstance(failure, BolusError):
                raise
            raise _invalid(f"lacks a part ({type(failure).__name__})") from failure


def _score(body: dict[str, object]) -> FrozenScore:
    def numbers(key: str) -> np.ndarray:
        found = np.array(body[key], dtype=np.float64)  # None becomes NaN
        return np.where(np.isnan(found), np.inf, found)

    cut_offs, habitats, fitted = body["CutOffsMl"], body["Habitats"], body["FittedOn"]
    if not (isinstance(cut_offs, dict) and isinstance(habitats, list) and isinstance(fitted, list)):
        raise _invalid("lacks a part")
    return FrozenScore(
        outcome=str(body["Outcome"]),
        cut_offs_ml={str(name): float(value) for name, value in cut_offs.items()},
        habitats=tuple(map(str, habitats)),
        limits_ml=numbers("LimitsMl"),
        log_hazard_ratios=numbers("LogHazardRatiosPerMl"),
        covariance=numbers("Covariance"),
        model=str(body["Model"]),
        fitted_on=frozenset(map(str, fitted)),
        simulated=bool(body["Simulated"]),
    )


def _digest(body: dict[str, object]) -> str:
    return hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()


def _invalid(what: str) -> FileError:
    return FileError(
        Code.MODEL_INVALID, what, mend="name score.json of bolus habitats score, as it was written"
    )
