"""`python -m tfrecs`, and the console script `tfrecs`: see `command_line.main`."""

from tfrecs.startup import launch


def main() -> None:
    """Runs the command line; ends the process with its exit code."""
    launch("tfrecs", "tfrecs.command_line.main")


if __name__ == "__main__":
    main()
