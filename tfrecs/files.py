"""Files that appear whole or not at all."""

import json
import os


def write_text(path, text):
    """Writes to a temporary name, flushes to disk, then renames.

    Args:
        path: str.
        text: str.
    """
    temporary = f"{path}.tmp"
    try:
        with open(temporary, "w", encoding="utf-8", newline="") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        if os.path.exists(temporary):
            os.remove(temporary)
        raise


def write_json(path, content):
    """`write_text` of indented JSON."""
    write_text(path, json.dumps(content, indent=2, allow_nan=True) + "\n")
