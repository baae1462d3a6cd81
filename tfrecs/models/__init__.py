"""The models by the name the command line knows them by."""

from tfrecs.models.attrec import AttRec

MODELS = {"attrec": AttRec}
