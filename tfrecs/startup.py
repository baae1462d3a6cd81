"""Starts a program whose imports take seconds: Ctrl-C and SIGTERM end it with one line; no notes of TensorFlow."""

import contextlib
import importlib
import os
import re
import signal
import sys
import tempfile
import threading
from collections.abc import Iterator
from types import FrameType, ModuleType
from typing import Any, BinaryIO, NoReturn

CODES: dict[int, int] = {signal.SIGINT: 130, signal.SIGTERM: 143}
# What TensorFlow writes to stderr before TF_CPP_MIN_LOG_LEVEL takes effect, and where there is no GPU.
NOTES = re.compile(rb"WARNING: All log messages before absl::|[IW]\d{4} \d\d:|E\d{4} .*failed call to cuInit")
_raised: list[int] = []  # the signals that became exceptions, in order


class Terminated(KeyboardInterrupt):
    """SIGTERM arrived: cleaned up after as Ctrl-C is."""


def launch(program: str, module: str) -> None:
    """Imports a module and ends the process with the exit code of its `main()`.

    Ctrl-C and SIGTERM raise `KeyboardInterrupt` and `Terminated` in it. A signal that is ignored, as SIGINT below
    `nohup`, stays so.

    Args:
        program: str, for the message, `run.py`.
        module: str, the dotted name of a module with `main`.
    """
    main = load(program, module).main
    catch()
    sys.exit(main())


def catch() -> None:
    """Lets Ctrl-C and SIGTERM raise `KeyboardInterrupt` and `Terminated` from now on, unless they are ignored.

    Python drops an exception in a finalizer, and would print its traceback and go on: the signal is sent once more.
    """
    for number in _caught():
        signal.signal(number, _raise)
    sys.unraisablehook = _send_again


@contextlib.contextmanager
def keep_interrupts() -> Iterator[None]:
    """A context that a signal always leaves with `KeyboardInterrupt` or `Terminated`.

    A signal that arrives while C++ calls Python, as TensorFlow and duckdb do, may reach the caller as an exception of
    another class, such as `RuntimeError: pybind11::error_already_set`.
    """
    before = len(_raised)
    try:
        yield
    except (Exception, KeyboardInterrupt) as error:
        if len(_raised) == before:
            raise
        raise _exception(_raised[-1]) from error


def load(program: str, module: str) -> ModuleType:
    """Imports a module; meanwhile, Ctrl-C and SIGTERM end the process at once with one line and exit code 130 or 143.

    An exception in the middle of an import may turn into any other, and nothing was written yet. TensorFlow looks for
    devices here, since that is when it writes its last notes: set `CUDA_VISIBLE_DEVICES` before.

    Args:
        program: str, for the message, `run.py`.
        module: str, a dotted name.

    Returns:
        the module.
    """

    with _without_notes() as stderr:

        def leave(number: int, frame: FrameType | None) -> NoReturn:
            os.write(stderr, f"{program}: interrupted\n".encode())
            os._exit(CODES[number])

        before = {number: signal.signal(number, leave) for number in _caught()}
        try:
            imported = importlib.import_module(module)
            if "tensorflow" in sys.modules:
                sys.modules["tensorflow"].config.list_physical_devices()
            return imported
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


@contextlib.contextmanager
def _without_notes() -> Iterator[int]:
    """Yields the descriptor of stderr; what is written to descriptor 2 meanwhile is printed after, without the notes.

    Whoever sets `TF_CPP_MIN_LOG_LEVEL` to 0 or 1 sees the notes.
    """
    level = os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    with contextlib.ExitStack() as stack:
        stderr = 2
        if level not in ("0", "1") and "tensorflow" not in sys.modules:
            with contextlib.suppress(OSError):  # no stderr, or no room for a file: nothing is hidden
                file = stack.enter_context(tempfile.TemporaryFile())
                stderr = os.dup(2)
                os.dup2(file.fileno(), 2)
                stack.callback(_print_kept, file, stderr)
        yield stderr


def _print_kept(file: BinaryIO, stderr: int) -> None:
    os.dup2(stderr, 2)
    os.close(stderr)
    file.seek(0)
    for line in file:
        if not NOTES.match(line):
            os.write(2, line)


def _caught() -> list[int]:
    return [number for number in CODES if signal.getsignal(number) is not signal.SIG_IGN]


def exit_code(error: BaseException) -> int:
    """The exit code of a program that a signal ended.

    Example:
        >>> exit_code(KeyboardInterrupt()), exit_code(Terminated())
        (130, 143)
    """
    return CODES[signal.SIGTERM if isinstance(error, Terminated) else signal.SIGINT]


def _raise(number: int, frame: FrameType | None) -> NoReturn:
    _raised.append(number)
    raise _exception(number)


def _send_again(dropped: Any) -> None:
    if not issubclass(dropped.exc_type, KeyboardInterrupt):
        sys.__unraisablehook__(dropped)
        return
    number = signal.SIGTERM if issubclass(dropped.exc_type, Terminated) else signal.SIGINT
    # From a thread and a moment later: here it would be dropped again.
    again = threading.Timer(0.01, os.kill, (os.getpid(), number))
    again.daemon = True
    again.start()


def _exception(number: int) -> KeyboardInterrupt:
    return Terminated() if number == signal.SIGTERM else KeyboardInterrupt()
