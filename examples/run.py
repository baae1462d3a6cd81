"""Trains, evaluates and exports one model: `python examples/run.py --model attrec`."""

import sys

from tfrecs.cli import main

sys.exit(main())
