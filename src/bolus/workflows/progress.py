"""How far a workflow has come, told to whoever called it."""

from collections.abc import Callable

Progress = Callable[[str, int, int], None]
"""Called with a stage's name, how much of it is done, and how much there is."""


def silent(_stage: str, _done: int, _total: int) -> None:
    """Tell nobody."""
