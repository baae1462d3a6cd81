"""A process that prepares itself once and answers one timed round per line of its input, so that sides can take turns.

It runs under the Python of each original too, 3.7 and later, and needs nothing but the standard library.
"""

from __future__ import annotations

import json
import sys
import traceback
from collections.abc import Callable
from typing import Any


def serve(rounds: dict[str, Callable[..., dict[str, Any]]]) -> None:
    """Prints READY; then answers each line of stdin, a JSON object, with a line `RESULT {...}`, until stdin ends.

    Args:
        rounds: dict of name to `f(**options) -> dict of numbers`; a line names one as `round` and gives its options.
    """
    print("READY", flush=True)
    for line in sys.stdin:
        options = json.loads(line)
        try:
            answer = rounds[options.pop("round")](**options)
        except Exception as error:
            traceback.print_exc()
            answer = {"error": repr(error)[:300]}
        print("RESULT " + json.dumps(answer), flush=True)
