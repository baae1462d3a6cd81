"""The one way to declare an option, for models, runs, data and benchmarks: `Option`."""

from tfrecs.options.option import Option, documented, of_defaults, resolve
from tfrecs.options.parser import Parser
from tfrecs.options.text import is_unicode, spelled

__all__ = ["Option", "Parser", "documented", "is_unicode", "of_defaults", "resolve", "spelled"]
