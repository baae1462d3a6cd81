"""The command line of `examples/run.py` and of `tfrecs train`; what it asks for is done in `train`."""

import os
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from tfrecs.command_line.arguments import parse
from tfrecs.errors import InputError, NotFiniteError, OutOfMemoryError, command_line, naming, naming_memory
from tfrecs.progress import note, quiet
from tfrecs.startup import exit_code, keep_interrupts, load


@command_line()
def main(argv: Sequence[str] | None = None, program: str = "run.py", known: Mapping[str, Any] | None = None) -> int:
    """Runs the command line.

    Args:
        argv: list of str; default the process's own.
        program: str, what messages begin with.
        known: dict of the run's options that hold where the command line does not name them.

    Returns:
        exit code: 0, 1 for a run that failed, 2 for bad input, 130 for Ctrl-C, 143 for SIGTERM.
    """
    try:
        arguments = parse(sys.argv[1:] if argv is None else argv, program, known)
        if arguments.run["gpu_id"] is not None:
            os.environ["CUDA_VISIBLE_DEVICES"] = arguments.run["gpu_id"]  # read when TensorFlow looks for devices
        train = load(program, "tfrecs.command_line.train")
        with naming(**arguments.names), quiet(arguments.run["quiet"]), keep_interrupts(), naming_memory():
            train.run(arguments)
    except InputError as error:
        note(f"{program}: error: {error}")
        return 2
    except (NotFiniteError, OutOfMemoryError) as error:
        note(f"{program}: stopped: {error}")
        return 1
    except KeyboardInterrupt as error:
        note(f"{program}: interrupted; --load_model 1 resumes from the newest checkpoint")
        return exit_code(error)
    return 0
