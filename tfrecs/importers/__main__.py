"""`python -m tfrecs.importers`: see `command_line`."""

from tfrecs.startup import launch

if __name__ == "__main__":
    launch("python -m tfrecs.importers", "tfrecs.command_line.originals")
