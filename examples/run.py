"""Trains, evaluates and exports one model: `python examples/run.py --model attrec`."""

from tfrecs.startup import launch

launch("run.py", "tfrecs.command_line.run")
