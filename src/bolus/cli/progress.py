"""Progress bars on stderr, for anything that takes more than a moment."""

import contextlib
import sys
from collections.abc import Iterator

from bolus.workflows.progress import Progress, silent


@contextlib.contextmanager
def progress_bars(*, shown: bool) -> Iterator[Progress]:
    """Yield a function that draws one bar per stage on stderr, where that is a terminal."""
    if not shown:
        yield silent
        return
    if not sys.stderr.isatty():  # a log wants no bars, and an error is one line there
        yield silent
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        TextColumn,
        TimeElapsedColumn,
    )
    from rich.progress import Progress as Bars

    columns = (
        TextColumn("{task.description:<28}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Bars(*columns, console=Console(stderr=True)) as bars:
        tasks: dict[str, object] = {}

        def show(stage: str, done: int, total: int) -> None:
            if stage not in tasks:
                tasks[stage] = bars.add_task(stage, total=total)
            bars.update(tasks[stage], completed=done, total=total)  # type: ignore[arg-type]

        yield show
