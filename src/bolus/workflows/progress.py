"""How far a workflow has come, told to whoever called it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

Progress = Callable[[str, int, int], None]
"""Called with a stage's name, how much of it is done, and how much there is."""


def silent(_stage: str, _done: int, _total: int) -> None:
    """Tell nobody."""


@contextmanager
def stage(progress: Progress, name: str) -> Iterator[None]:
    """Tell the beginning and the end of a stage that has no steps to count."""
    progress(name, 0, 1)
    yield
    progress(name, 1, 1)
