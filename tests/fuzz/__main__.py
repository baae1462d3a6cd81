"""`make fuzz`: damaged raw files, data, runs and requests, in one process; exit code 1 where anything is found.

`FUZZ_SEED` (default 0) chooses the cases, `FUZZ_SHARE` (default 1.0) how many of the full number are made. Arguments
name the parts to run: `sources`, `data`, `runs`, `exports`, `checkpoints`; a source's or a model's name runs it alone.
"""

import os
import sys
import tempfile
import time
import warnings

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from tests.fuzz import checkpoints, data_sets, run_directories, served, sources  # noqa: E402 - the level must be set before TensorFlow is loaded
from tests.fuzz.harness import Report, note  # noqa: E402
from tfrecs.models import MODELS  # noqa: E402

PARTS = {
    "sources": sources.run,
    "data": data_sets.run,
    "runs": run_directories.run,
    "exports": served.run,
    "checkpoints": checkpoints.run,
}


def main(arguments):
    """Runs the parts; returns the exit code."""
    warnings.simplefilter("ignore")
    report = Report(int(os.environ.get("FUZZ_SEED", "0")), float(os.environ.get("FUZZ_SHARE", "1.0")))
    known = {*PARTS, *sources.FILES, "sample", *MODELS}
    if set(arguments) - known:
        note(f"unknown: {sorted(set(arguments) - known)}; there are {sorted(known)}")
        return 2
    for name, run in PARTS.items():
        chosen = [argument for argument in arguments if argument not in PARTS]
        alone = {"sources": {*sources.FILES, "sample"}, "exports": {*MODELS}}.get(name, set()) & set(chosen)
        if arguments and name not in arguments and not alone:
            continue
        began = time.monotonic()
        with tempfile.TemporaryDirectory() as directory:
            run(report, directory, *([tuple(sorted(alone))] if alone and name not in arguments else []))
        note(f"{name}: {time.monotonic() - began:.0f} s")
    print(report)
    return 0 if report.passed else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
