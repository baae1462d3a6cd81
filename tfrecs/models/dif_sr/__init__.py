"""DIF-SR: self-attention whose scores also weigh side information."""

from tfrecs.models.dif_sr.model import DIFSR

__all__ = ["DIFSR"]
