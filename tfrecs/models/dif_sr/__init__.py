"""DIF-SR: self-attention whose scores also weigh side information."""

from tfrecs import lazy

__getattr__, __dir__ = lazy.attributes(__name__, {"DIFSR": "model"})
