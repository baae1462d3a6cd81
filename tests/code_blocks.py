"""The code blocks of the documents, their command lines, and how these are shortened."""

import dataclasses
import shlex
from pathlib import Path

ROOT = Path(__file__).parents[1]
DOCUMENTS = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "checkpoints/README.md")] + sorted(
    (ROOT / "checkpoints").glob("*/card.md")
)
PLACEHOLDERS = {
    "RUN": "runs/run",
    "ORIGINAL": "runs/original",
    "S": "0",
    "USER": "u1",
    "ITEM,ITEM": "i1,i2",
    "FILE.npz": "tables.npz",
    "save_path/atrank-N": "save_path/atrank-0",
}
# A small data set has no 736 steps in an epoch.
SMALLER = {"736": "3", "cp-0001-000736": "cp-0001-000003"}
# Flags added at the end of a command line, unless it has them; `--seeds` counts even if the line has another one.
SHORTER = {
    "examples/run.py": {"--epochs": "1"},
    "tfrecs train": {"--epochs": "1"},
    "benchmarks/run.py": {"--seeds": "1", "--results": "results"},
}


MEASUREMENTS = ("compare", "speed", "serving")  # of `benchmarks/run.py`: they take minutes


@dataclasses.dataclass(frozen=True)
class Block:
    """A fenced block."""

    document: str
    section: str
    line: int
    language: str
    text: str

    def __str__(self):
        return f"{self.document}:{self.line}"


def blocks_of(path):
    """The blocks of a document."""
    found, section, number, lines = [], "", 0, path.read_text(encoding="utf-8").splitlines()
    while number < len(lines):
        if lines[number].startswith("```"):
            end = lines.index("```", number + 1)
            text = "\n".join(lines[number + 1 : end])
            found.append(Block(str(path.relative_to(ROOT)), section, number + 1, lines[number][3:], text))
            number = end
        elif lines[number].startswith("#"):
            section = lines[number].strip("# ")
        number += 1
    return found


def commands_of(block):
    """The command lines of a block, as lists of words."""
    lines = block.text.replace("\\\n", " ").splitlines()
    return [words for words in (shlex.split(line, comments=True) for line in lines) if words]


def program_of(words):
    """What a command line runs, and its arguments: `python -m a.b` is `a.b`, `python a/b.py` is `a/b.py`."""
    if words[:2] == ["python", "benchmarks/run.py"] and words[2] in MEASUREMENTS:
        return " ".join(words[1:3]), words[3:]
    if words[0] == "python":
        return (words[2], words[3:]) if words[1] == "-m" else (words[1], words[2:])
    return words[0], words[1:]


BLOCKS = [block for path in DOCUMENTS for block in blocks_of(path)]
SHELL = [block for block in BLOCKS if block.language == ""]
COMMANDS = [(f"{block}: {shlex.join(words)}", *program_of(words)) for block in SHELL for words in commands_of(block)]
SECTIONS = list(dict.fromkeys((block.document, block.section) for block in BLOCKS if block.language in ("", "python")))


def shortened(program, flags):
    """The flags with those of `SHORTER` that they do not have."""
    own, passed_on = flags, []
    if "--" in flags:
        own, passed_on = flags[: flags.index("--")], flags[flags.index("--") + 1 :]
    keeps_runs = program == "benchmarks/run.py" and "--run_dirs" in flags  # a later block reads all of them
    key = " ".join([program, *flags[:1]]) if program == "tfrecs" else program
    judges = ("--do_train", "0") in zip(flags, flags[1:])  # a run with the epochs that it was trained for
    for flag, value in () if judges else SHORTER.get(key, {}).items():
        if (flag not in own or flag == "--seeds") and not (keeps_runs and flag == "--seeds"):
            own = [*own, flag, value]
    if program == "benchmarks/run.py":
        return [*own, "--", *passed_on, *([] if "--epochs" in passed_on else ["--epochs", "1"])]
    return own
