"""Asks TensorFlow Serving for recommendations, through its REST API; Python's own library is all it takes.

    python examples/serving_client.py --url http://localhost:8501/v1/models/attrec:predict --user u1 --history i1,i2

prints a line `item<TAB>score` per recommendation, best first. A model that reads times takes `--times` and `--now` as
well (`--times 1700000000,1700000100 --now 1700000500`), one that reads kinds of behaviour `--actions view,buy`; 0 and
nothing are unknown. `--kind item` asks a model of several kinds of objects for a list of that kind. Bad input and a
server that cannot be reached or refuses end with exit code 2.
"""

import argparse
import http.client
import json
import math
import re
import sys
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from typing import Any

LONGEST_MESSAGE = 2000
URL = "http://localhost:8501/v1/models/attrec:predict"


class ClientError(Exception):
    """What the user can correct, in a sentence."""


def printable(value: object) -> str:
    """Text in which no character steers a terminal."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in str(value))


def recommend(
    url: str, user: str, history: Sequence[str], timeout: float = 10.0, more: Mapping[str, Any] | None = None
) -> list[tuple[str, float]]:
    """One request.

    Args:
        url: str, `http://HOST:PORT/v1/models/NAME:predict`, or with `/versions/N` before `:predict`.
        user: str, `""` for an unknown user.
        history: list of str, item tokens, oldest first.
        timeout: float, seconds.
        more: dict of further inputs, `timestamp` and `action` as long as `history`, `now`, and `kind`, which asks the
            signature `by_kind`.

    Returns:
        list of `(item, score)`, best first, as many as there are.

    Raises:
        ClientError: naming the URL and what is wrong.
    """
    if not re.fullmatch(r"https?://\S+:predict", url):
        raise ClientError(f"--url {url}: expected http://HOST:PORT/v1/models/NAME:predict")
    # An empty history is one of padding, so that its JSON has a string to tell the type by.
    inputs: dict[str, Any] = {"user": [user], "history": [history or [""]]} | {
        name: [value] for name, value in (more or {}).items()
    }
    signature = "by_kind" if "kind" in inputs else "serving_default"
    body = json.dumps({"signature_name": signature, "inputs": inputs}).encode()
    try:
        request = urllib.request.Request(url, body, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=timeout) as response:
            content = json.load(response)
        outputs = content["outputs"]
        pairs = list(zip(outputs["items"][0], outputs["scores"][0], strict=True))
        return [(item, score) for item, score in pairs if math.isfinite(score)]
    except urllib.error.HTTPError as error:
        raise ClientError(f"--url {url}: HTTP {error.code}: {_reason(error)}") from None
    except urllib.error.URLError as error:
        raise ClientError(f"--url {url}: cannot be reached: {error.reason}") from None
    except (OSError, http.client.HTTPException) as error:
        raise ClientError(f"--url {url}: cannot be reached: {error or type(error).__name__}") from None
    except (ValueError, KeyError, IndexError, TypeError) as error:
        raise ClientError(f"--url {url}: not an answer of a tfrecs export: {error!r}") from None


def _reason(error: urllib.error.HTTPError) -> str:
    """TensorFlow Serving's own words, `{"error": "..."}`."""
    try:
        return json.load(error)["error"]
    except (OSError, ValueError, KeyError, TypeError):
        return error.reason


def seconds(text: str) -> list[int]:
    """Whole seconds, separated by commas."""
    return [int(number) for number in text.split(",")]


def main(argv: Sequence[str] | None = None) -> int:
    """The command line; gives the exit code, 0 or 2."""
    parser = argparse.ArgumentParser(description="Asks TensorFlow Serving for recommendations.", allow_abbrev=False)
    parser.add_argument("--url", default=URL, help="the model's predict address; default %(default)s")
    parser.add_argument("--user", default="", help="a user of the training data; default an unknown one")
    parser.add_argument("--history", default="", help="items, oldest first, separated by commas")
    parser.add_argument("--times", type=seconds, help="when, in seconds, separated by commas, one of each item")
    parser.add_argument("--now", type=int, help="the time of the request, in seconds; with --times")
    parser.add_argument("--actions", type=lambda text: text.split(","), help="how, one of each item")
    parser.add_argument("--kind", help="the kind of items to recommend; default any")
    parser.add_argument("--timeout", type=float, default=10.0, help="seconds; default %(default)s")
    options = parser.parse_args(argv)
    try:
        if not options.timeout > 0:
            raise ClientError(f"--timeout {options.timeout}: expected seconds above 0")
        given = {"timestamp": options.times, "now": options.now, "action": options.actions, "kind": options.kind}
        if options.times is not None:
            given["now"] = options.now or 0
        more = {name: value for name, value in given.items() if value is not None}
        history = [item for item in options.history.split(",") if item]
        for name, values in (("times", options.times), ("actions", options.actions)):
            if values is not None and len(values) != len(history):
                raise ClientError(f"--{name}: expected one of each of {len(history)} items, got {len(values)}")
        answer = recommend(options.url, options.user, history, options.timeout, more)
    except ClientError as error:
        print(f"serving_client.py: error: {printable(error)[:LONGEST_MESSAGE]}", file=sys.stderr)
        return 2
    for item, score in answer:
        print(f"{printable(item)}\t{score:.6g}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
