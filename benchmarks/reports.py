"""Saves the table of a benchmark in the folder of the results."""

import os

from tfrecs import files


def save(folder: str, name: str, text: str) -> str:
    """Writes and prints a Markdown table.

    Args:
        folder: str, made if absent.
        name: str, of the file, without its ending.
        text: str.

    Returns:
        str, the file's path without its ending: a plot is saved next to it.
    """
    os.makedirs(folder, exist_ok=True)
    path = os.path.join(folder, name)
    files.write_text(f"{path}.md", text)
    print(text)
    return path
