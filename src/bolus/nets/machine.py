"""Where a network is trained, and how a training is stopped."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch

from bolus.errors import Code, ResourceError


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """A device: `accelerator` "auto" (a GPU where there is one), "cpu" or "gpu"; how many of them.

    Several share every batch; results of another number of devices differ by rounding and noise.

    `threads` of the CPU, 0 for as many as torch finds; results are the same bytes only for the
    same number.

    Raises:
        ResourceError: GPUs are asked for, and there are not as many.
    """

    accelerator: str = "auto"
    devices: int = 1
    threads: int = 1

    def __post_init__(self) -> None:
        if self.accelerator == "gpu" and torch.cuda.device_count() < self.devices:
            raise ResourceError(
                Code.ARGUMENT_INVALID,
                f"{self.devices} GPU asked for, and torch finds {torch.cuda.device_count()}",
                mend="use the CPU, or install torch for your GPU",
            )


@contextmanager
def one_thread_count(threads: int) -> Iterator[None]:
    """Use so many threads inside, and as many as before after it; 0 changes nothing.

    Around what uses a network it is 1: sums of floats are then added in one order everywhere.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(threads or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def interruptible() -> Iterator[None]:
    """Turn Lightning's exit after Ctrl-C back into the interrupt it was.

    Lightning ends the process with status 1 and leaves Ctrl-C switched off.

    Raises:
        KeyboardInterrupt: there was one.
    """
    main = threading.current_thread() is threading.main_thread()
    before = signal.getsignal(signal.SIGINT) if main else None
    try:
        yield
    except SystemExit as error:
        raise KeyboardInterrupt from error
    finally:
        if main:
            signal.signal(signal.SIGINT, before)
