"""How far a whole cohort has come: one bar on a terminal, one line a session in a log."""

import contextlib
import sys
import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bolus.workflows.session import SessionOutcome


class CohortView:
    """Counts of sessions, told to whoever watches.

    Without a terminal each session is one line, so that a log can be followed and searched.
    """

    def __init__(self, *, shown: bool, bars: Any = None) -> None:
        self._shown = shown
        self._bars = bars
        self._task = bars.add_task("Sessions", total=None, failed="", stage="") if bars else None
        self._total = 0
        self._done = 0
        self._failed = 0
        self._begun = time.monotonic()
        self._last: Sequence[SessionOutcome] = ()

    def progress(self, stage: str, done: int, total: int) -> None:
        """Take how many sessions are done, or the stage of the one that runs here."""
        if stage != "Sessions":
            if self._bars is not None:
                self._bars.update(self._task, stage=f"{stage} {done}/{total}")
            return
        self._done, self._total = done, total
        if self._bars is not None:
            failed = f"{self._failed} failed" if self._failed else ""
            self._bars.update(self._task, completed=done, total=total, failed=failed, stage="")
        elif self._shown and self._last:
            sys.stderr.write(self._line() + "\n")
            sys.stderr.flush()

    def finished(self, steps: "Sequence[SessionOutcome]") -> None:
        """Take what became of a session."""
        self._last = steps
        self._failed += any(step.error is not None for step in steps)

    def _line(self) -> str:
        steps = self._last
        errors = [f"{s.step} failed ({s.error.code})" for s in steps if s.error is not None]
        skipped = all(s.skipped for s in steps)
        word = ", ".join(errors) or ("complete already" if skipped else "done")
        passed = time.monotonic() - self._begun
        left = passed / self._done * (self._total - self._done)
        return (
            f"[{self._done}/{self._total}] {steps[0].key.prefix} {word}; {self._failed} failed, "
            f"{_clock(passed)} passed, about {_clock(left)} left"
        )


@contextlib.contextmanager
def cohort_progress(*, shown: bool) -> Iterator[CohortView]:
    """Yield a view of a cohort on stderr: a bar on a terminal, lines elsewhere."""
    if not (shown and sys.stderr.isatty()):
        yield CohortView(shown=shown)
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("[red]{task.fields[failed]}[/red]"),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[stage]}"),
    )
    with Progress(*columns, console=Console(stderr=True)) as bars:
        yield CohortView(shown=shown, bars=bars)


def _clock(seconds: float) -> str:
    """Return a duration as h:mm:ss, or m:ss below an hour."""
    whole = round(seconds)
    hours, minutes = whole // 3600, whole // 60 % 60
    return f"{hours}:{minutes:02d}:{whole % 60:02d}" if hours else f"{minutes}:{whole % 60:02d}"
