"""What `bolus import` tells of a public dataset."""

from collections import Counter
from typing import TYPE_CHECKING

from bolus import RESEARCH_USE

if TYPE_CHECKING:
    from bolus.workflows.import_dataset import DatasetOutcome

_MOST_LINES = 20


def dataset_facts(outcome: "DatasetOutcome") -> dict[str, object]:
    """Return an import as JSON values."""
    return {
        "dataset": str(outcome.dataset),
        "layout": outcome.layout.name,
        "perfusion": outcome.layout.perfusion,
        "sessions": {key.prefix: {"skipped": there} for key, there in outcome.sessions.items()},
        "images": list(outcome.images),
        "not_imported": dict(outcome.left),
        "not_stated": list(outcome.not_stated),
        "notes": list(outcome.notes),
        "dry_run": outcome.dry_run,
        "research_use": RESEARCH_USE,
    }


def dataset_lines(outcome: "DatasetOutcome") -> list[str]:
    """Return an import as text."""
    layout = outcome.layout
    subjects = len({key.subject for key in outcome.sessions})
    there = sum(outcome.sessions.values())
    lines = [
        f"{layout.title}  doi:{layout.doi}",
        f"  perfusion: {layout.perfusion}",
        f"  {subjects} subjects, {len(outcome.sessions)} sessions"
        + (" planned" if outcome.dry_run else f", {there} of them complete already"),
    ]
    kinds = Counter(name.rpartition("/")[2].partition("_ses-")[2].partition("_")[2].split(".")[0]
                    for name in outcome.images)  # fmt: skip
    lines += [f"  {count:>5}  {kind}" for kind, count in sorted(kinds.items())]
    lines += _some("Not imported", [f"{n} {name}" for name, n in outcome.left.items()])
    lines += _some("Note", list(outcome.notes))
    if outcome.not_stated:
        lines.append(f"The dataset does not state of its DSC: {', '.join(outcome.not_stated)}")
    if not layout.has_dsc:
        lines.append("There is no raw DSC or DCE series here for bolus run to quantify.")
    return [*lines, RESEARCH_USE, f"Dataset  {outcome.dataset}"]


def _some(title: str, texts: list[str]) -> list[str]:
    more = len(texts) - _MOST_LINES
    lines = [f"{title}: {text}" for text in texts[:_MOST_LINES]]
    return [*lines, f"{title}: and {more} more (--json has all)"] if more > 0 else lines
