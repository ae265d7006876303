"""The command `bolus import`."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bolus import RESEARCH_USE
from bolus.cli.import_dataset import dataset_facts, dataset_lines
from bolus.cli.progress import progress_bars

if TYPE_CHECKING:
    from bolus.workflows.import_dicom import ImportedImage, ImportOutcome

_SETTINGS = (
    ("echo_time_s", "echo time", "s"),
    ("repetition_time_s", "repetition time", "s"),
    ("flip_angle_deg", "flip angle", "deg"),
    ("field_strength_t", "field", "T"),
    ("contrast_agent", "contrast agent", ""),
    ("contrast_dose_mmol_per_kg", "dose", "mmol/kg"),
    ("preload_dose_mmol_per_kg", "preload dose", "mmol/kg"),
    ("injection_rate_ml_per_s", "injection rate", "mL/s"),
)
_OPTION = {
    "contrast_agent": "--contrast-agent",
    "contrast_dose_mmol_per_kg": "--dose",
    "preload_dose_mmol_per_kg": "--preload-dose",
    "injection_rate_ml_per_s": "--injection-rate",
    "field_strength_t": "--field-strength",
}
_MOST_TAGS = 12


def import_(
    context: typer.Context,
    source: Annotated[
        Path, typer.Argument(help="Folder of DICOM files (searched below too), or public dataset.")
    ],
    bids_dir: Annotated[Path, typer.Argument(help="Dataset to write, or to add to.")],
    subject: Annotated[str | None, typer.Option(help="Label, instead of a number.")] = None,
    session: Annotated[str | None, typer.Option(help="Label, instead of a number.")] = None,
    series: Annotated[
        list[str] | None,
        typer.Option(help="NUMBER=KIND or UID=KIND: dsc, dce, vfa, T1w, T1ce, T2w, FLAIR, skip."),
    ] = None,
    contrast_agent: Annotated[str | None, typer.Option(help="Generic name.")] = None,
    dose: Annotated[float | None, typer.Option(help="Contrast dose in mmol/kg.")] = None,
    preload_dose: Annotated[float | None, typer.Option(help="In mmol/kg; 0: none.")] = None,
    injection_rate: Annotated[float | None, typer.Option(help="In mL/s.")] = None,
    field_strength: Annotated[float | None, typer.Option(help="In tesla.")] = None,
    answers: Annotated[Path | None, typer.Option(help="The same as a TOML file.")] = None,
    key_file: Annotated[
        Path | None, typer.Option(help="Write who is behind which label; outside the dataset.")
    ] = None,
    with_: Annotated[
        str | None, typer.Option("--with", help="dcm2niix, for pixels not read here.")
    ] = None,
    layout: Annotated[
        str | None,
        typer.Option(
            help="upenn-gbm, ucsd-ptgbm, ucsf-pdgm, lumiere, brain-tumor-progression, "
            "qin-gbm-treatment-response or dicom; left out: by the names of the files."
        ),
    ] = None,
    link: Annotated[
        bool, typer.Option("--link", help="Hard links instead of copies (public datasets).")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only list the series.")] = False,
    show_names: Annotated[
        bool, typer.Option("--show-names", help="Name files in messages.")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress bars.")] = False,
) -> None:
    """Import DICOM series, without patient data, or a public dataset into a BIDS-like dataset."""
    from bolus.workflows.import_answers import ImportAnswers, parse_choices, read_answers
    from bolus.workflows.import_dataset import DatasetRequest, find_layout, import_dataset
    from bolus.workflows.import_dicom import ImportRequest, import_dicom

    if with_ not in (None, "dcm2niix"):
        raise typer.BadParameter(f"--with is '{with_}', expected dcm2niix")
    typed = ImportAnswers(
        subject=subject,
        session=session,
        contrast_agent=contrast_agent,
        contrast_dose_mmol_per_kg=dose,
        preload_dose_mmol_per_kg=preload_dose,
        injection_rate_ml_per_s=injection_rate,
        field_strength_t=field_strength,
        series=parse_choices(series or ()),
    )
    said = typed.over(read_answers(answers)) if answers else typed
    known = find_layout(source, layout)
    if known is not None:
        if key_file or with_:
            raise typer.BadParameter("--key-file and --with go with DICOM, not a public dataset")
        wanted = DatasetRequest(
            source=source, dataset=bids_dir, layout=known, answers=said, link=link, dry_run=dry_run
        )
        with progress_bars(shown=not quiet) as progress:
            imported = import_dataset(wanted, progress=progress)
        facts, lines = dataset_facts(imported), dataset_lines(imported)
        typer.echo(json.dumps(facts) if context.obj else "\n".join(lines))
        return
    if link:
        raise typer.BadParameter("--link goes with a public dataset; DICOM is always converted")
    request = ImportRequest(
        source=source,
        dataset=bids_dir,
        answers=said,
        key_file=key_file,
        with_dcm2niix=with_ is not None,
        show_names=show_names,
        dry_run=dry_run,
    )
    with progress_bars(shown=not quiet) as progress:
        outcome = import_dicom(request, progress=progress)
    if context.obj:
        typer.echo(json.dumps(_facts(outcome)))
    else:
        typer.echo("\n".join(_lines(outcome)))


def _facts(outcome: "ImportOutcome") -> dict[str, object]:
    return {
        "dataset": str(outcome.dataset),
        "series": [
            {"number": number, "kind": kind, "reason": reason}
            for number, kind, reason in outcome.series
        ],
        "sessions": {key.prefix: {"skipped": there} for key, there in outcome.sessions.items()},
        "images": [
            {
                "series": image.series,
                "name": image.name,
                "shape": list(image.shape),
                "timing": image.timing,
                "settings": {
                    field: value
                    for field, _, _ in _SETTINGS
                    if (value := getattr(image.acquisition, field)) is not None
                },
                "not_stated": list(image.not_stated),
                "notes": list(image.notes),
            }
            for image in outcome.images
        ],
        "removed": dict(outcome.removed),
        "others": dict(outcome.others),
        "not_dicom": outcome.foreign,
        "links": outcome.links,
        "research_use": RESEARCH_USE,
    }


def _lines(outcome: "ImportOutcome") -> list[str]:
    lines = ["Series"]
    lines += [f"  {number:>3}  {kind:<6} {reason}" for number, kind, reason in outcome.series]
    for image in outcome.images:
        lines += ["", *_of_image(image)]
    lines += ["", *_left_behind(outcome), ""]
    for key, there in outcome.sessions.items():
        state = "planned" if outcome.dry_run else "complete already" if there else "written"
        lines.append(f"{key.prefix:<24} {state}")
    if any(kind == "dwi" for _, kind, _ in outcome.series):
        lines.append("Diffusion series are recognised and not written.")
    return [*lines, RESEARCH_USE, f"Dataset  {outcome.dataset}"]


def _of_image(image: "ImportedImage") -> list[str]:
    known = [
        f"{name} {value:g} {unit}".rstrip() if isinstance(value, float) else f"{name} {value}"
        for field, name, unit in _SETTINGS
        if (value := getattr(image.acquisition, field)) is not None
    ]
    size = " x ".join(map(str, image.shape))
    lines = [f"{image.name}  (series {image.series})", f"  {size}; {image.timing}"]
    lines.append(f"  {', '.join(known)}")
    lines += [f"  {note}" for note in image.notes]
    if image.not_stated:
        missing = ", ".join(
            f"{next(name for field, name, _ in _SETTINGS if field == missed)} ({_OPTION[missed]})"
            for missed in image.not_stated
        )
        lines.append(f"  not stated: {missing}")
    return lines


def _left_behind(outcome: "ImportOutcome") -> list[str]:
    """Say what was removed by name and count, never by value."""
    removed = outcome.removed
    private = sum(count for name, count in removed.items() if name.startswith("private"))
    plain = [(n, c) for n, c in removed.items() if not n.startswith("private")]
    plain.sort(key=lambda pair: (not pair[0].startswith("Patient"), pair[0]))
    shown = ", ".join(f"{name} {count}" for name, count in plain[:_MOST_TAGS])
    more = f" and {len(plain) - _MOST_TAGS} more kinds" if len(plain) > _MOST_TAGS else ""
    lines = [f"Left behind: {shown}{more}; {private} private tags (the list is in code/)"]
    others = ", ".join(f"{count} {name}" for name, count in outcome.others.items())
    if others:
        lines.append(f"Not images: {others}")
    if outcome.foreign or outcome.links:
        lines.append(f"Not DICOM: {outcome.foreign} files; not followed: {outcome.links} links")
    return lines
