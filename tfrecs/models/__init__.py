"""The models by the name the command line knows them by."""

from tfrecs.models.arerec import ARERec
from tfrecs.models.atrank import ATRank
from tfrecs.models.attrec import AttRec
from tfrecs.models.dif_sr import DIFSR
from tfrecs.models.sasrec import SASRec

MODELS = {"arerec": ARERec, "atrank": ATRank, "attrec": AttRec, "dif_sr": DIFSR, "sasrec": SASRec}
