"""Run the gates of this installation and write what came out as a dated certificate."""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from bolus import __version__, io
from bolus.errors import Code, ConfigError
from bolus.report.certificate import certificate_record, render_certificate
from bolus.report.certificate_findings import Certificate, Chapter, Part
from bolus.workflows.exam import now_text
from bolus.workflows.gates_dce import certify_dce
from bolus.workflows.gates_dce_published import find_published
from bolus.workflows.gates_dsc import certify_dsc
from bolus.workflows.gates_dsc_osipi import find_osipi_curves
from bolus.workflows.gates_habitats import certify_habitats
from bolus.workflows.gates_learning import certify_learning
from bolus.workflows.gates_networks import certify_networks
from bolus.workflows.gates_request import PROFILES, GateRequest, Profile
from bolus.workflows.progress import Progress, silent

PAGE_NAME = "certificate.html"
RECORD_NAME = "certificate.json"

ChapterFunction = Callable[[GateRequest, Progress], tuple[Part, ...]]

CHAPTERS: Mapping[str, tuple[str, ChapterFunction]] = MappingProxyType(
    {
        "dsc": ("DSC perfusion", certify_dsc),
        "dce": ("DCE perfusion", certify_dce),
        "habitats": ("Habitats", certify_habitats),
        "learning": ("Learning from curves", certify_learning),
        "networks": ("Reproducible parameters by networks", certify_networks),
    }
)
"""Title of every chapter and what measures it; a later system adds its own here."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CertifyOutcome:
    """The certificate, and where its page and record are."""

    certificate: Certificate
    page: Path
    record: Path


def run_certify(
    output: Path,
    *,
    seed: int,
    profile: str,
    chapters: Sequence[str] = (),
    reference: Path | None = None,
    progress: Progress = silent,
) -> CertifyOutcome:
    """Measure the gates and write the certificate as one folder.

    Args:
        output: folder to write.
        seed: of everything simulated.
        profile: a key of `PROFILES`.
        chapters: keys of `CHAPTERS`; none for all.
        reference: folder of reference data; without it the gates that need it are not run.
        progress: told about every stage.

    Raises:
        ConfigError: a chapter or profile does not exist, or the seed is negative.
        FileError: the reference data were given and are not usable.
        ResourceError: the disk is full, or may not be written.
    """
    request = GateRequest(seed=_checked_seed(seed), profile=_profile(profile), reference=reference)
    chosen = _chosen(chapters)
    inputs = _inputs(reference, chosen)
    with io.open_output(
        output, inputs=inputs, config_digest=_digest(request, chosen), version=__version__
    ) as folder:
        folder.expect(io.Manifest(must={RECORD_NAME, PAGE_NAME}))
        certificate = certify(request, chosen, inputs=inputs, created=now_text(), progress=progress)
        folder.write(RECORD_NAME, io.json_text(certificate_record(certificate)))
        folder.write(PAGE_NAME, render_certificate(certificate))
    return CertifyOutcome(
        certificate=certificate, page=output / PAGE_NAME, record=output / RECORD_NAME
    )


def certify(
    request: GateRequest,
    chapters: Sequence[str],
    *,
    inputs: Mapping[str, str],
    created: str,
    progress: Progress = silent,
) -> Certificate:
    """Measure the gates of chapters; nothing is written.

    Args:
        request: seed, profile and reference data.
        chapters: keys of `CHAPTERS`.
        inputs: name and SHA-256 of every file read.
        created: when, as text for the page.
        progress: told about every stage.

    Raises:
        FileError: the reference data are not usable.
    """
    from threadpoolctl import threadpool_limits

    found = []
    # One thread: sums of floats are then added in the same order on every machine.
    with threadpool_limits(1):
        for key in chapters:
            title, measure = CHAPTERS[key]
            found.append(Chapter(key=key, title=title, parts=measure(request, progress)))
    return Certificate(
        version=__version__,
        created=created,
        seed=request.seed,
        profile=request.profile.name,
        settings=_settings(request.profile, chapters),
        inputs=tuple(inputs.items()),
        chapters=tuple(found),
    )


def _checked_seed(seed: int) -> int:
    if seed < 0:
        raise ConfigError(
            Code.USAGE,
            f"the seed is {seed}; expected a whole number from 0 on",
            mend="choose another",
            where="--seed",
        )
    return seed


def _profile(name: str) -> Profile:
    if name not in PROFILES:
        raise ConfigError(
            Code.USAGE,
            f"'{name}' is not a profile; there are {', '.join(PROFILES)}",
            mend="choose one of them",
            where="--profile",
        )
    return PROFILES[name]


def _chosen(names: Sequence[str]) -> tuple[str, ...]:
    unknown = [name for name in names if name not in CHAPTERS]
    if unknown:
        raise ConfigError(
            Code.USAGE,
            f"'{unknown[0]}' is not a chapter; there are {', '.join(CHAPTERS)}",
            mend="choose one of them, or leave --only out",
            where="--only",
        )
    return tuple(key for key in CHAPTERS if not names or key in names)


def _inputs(reference: Path | None, chapters: Sequence[str]) -> dict[str, str]:
    """Return name and SHA-256 of every file of reference data that these chapters read."""
    if reference is None:
        return {}
    files: dict[str, Path] = {}
    if "dsc" in chapters:
        path = find_osipi_curves(reference)
        files[path.name] = path
    if "dce" in chapters:
        files |= find_published(reference)
    return {name: io.file_digest(path) for name, path in files.items()}


def _settings(profile: Profile, chapters: Sequence[str]) -> tuple[tuple[str, str], ...]:
    return (
        ("Chapters", ", ".join(chapters)),
        (
            "Whole exams",
            f"{' × '.join(map(str, profile.shape))} voxels of "
            f"{' × '.join(f'{side:g}' for side in profile.voxel_mm)} mm",
        ),
        ("Protocols of whole exams", ", ".join(profile.protocols)),
        ("Noise realisations of each curve", str(profile.noisy_copies)),
    )


def _digest(request: GateRequest, chapters: Sequence[str]) -> str:
    """Return 16 hexadecimal digits that name what was asked for."""
    text = json.dumps([request.seed, request.profile.name, list(chapters)])
    return hashlib.sha256(text.encode()).hexdigest()[:16]
