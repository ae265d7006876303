"""What the executors are given to do in their contract; workers import it."""

import os
import signal
import time
from pathlib import Path


def square(number):
    return number * number


def later_first(number):
    """The first jobs take longest."""
    time.sleep(0.3 / (1 + number))
    return number


def refuse_three(number):
    if number == 3:
        raise ValueError("three")
    return number


def deadly_three(number):
    if number == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return number


def threads(_number):
    """Return how many threads the libraries of this worker would use."""
    import numpy as np
    from threadpoolctl import threadpool_info

    np.ones((2, 2)) @ np.ones((2, 2))
    return max((pool["num_threads"] for pool in threadpool_info()), default=1)


def deadly_twice(job):
    """Die until two marks are there; then answer."""
    number, folder = job
    if number == 1:
        marks = len(list(Path(folder).iterdir()))
        if marks < 2:
            (Path(folder) / str(marks)).touch()
            os.kill(os.getpid(), signal.SIGKILL)
    return number


def leave_a_mark(job):
    """Work until told to stop, and clear up when it is."""
    number, folder = job
    mark = Path(folder) / f"working-{number}"
    try:
        mark.touch()
        for _ in range(6000):
            time.sleep(0.01)
    finally:
        mark.unlink(missing_ok=True)
