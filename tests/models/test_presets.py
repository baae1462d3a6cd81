"""What presets resolve to: constructor defaults and presets together, pinned, since both may move values about."""

import pytest

from tfrecs.models import MODELS, declarations
from tfrecs.models.presets import PRESETS

NO_DROPOUT = (0.0,) * 9
# The arguments whose defaults are measured to be best, by preset.
RESOLVED = {
    ("attrec", "recommended"): dict(embedding_dim=100, max_history=5, num_targets=3, num_negatives=10, user_weight=0.3)
    | dict(margin=0.5, dropout=0.2, l2=1e-5, diagonal="masked", norm_bound="constraint", initializer="he_normal"),
    ("attrec", "original"): dict(margin=0.5, dropout=0.5, l2=0.0, diagonal="zeroed", norm_bound="lookup"),
    ("attrec", "port2024"): dict(margin=0.5, dropout=0.5, l2=0.0, shared_projection=False),
    ("atrank", "recommended"): dict(item_dim=64, attribute_dim=64, action_dim=16, time="embedding", time_dim=16)
    | dict(num_buckets=22, time_unit=60.0, bucket_rule="doubling", hidden_units=128, num_heads=8, num_negatives=8),
    ("atrank", "original"): dict(action_dim=0, time="one_hot", num_buckets=12, time_unit=86400.0, num_negatives=1),
    ("atrank", "multi"): dict(action_dim=64, time="one_hot", num_buckets=12, time_unit=86400.0, num_negatives=1),
    ("arerec", "recommended"): dict(embedding_dim=16, region_size=7, num_heads=2, max_seq=30, neighbours="earlier")
    | dict(dropout=(0.0, 0.0, 0.0, 0.5, 0.5, 0.0, 0.0, 0.0, 0.0), l2=(0.0,) * 5, random_split=0.0),
    ("arerec", "original"): dict(embedding_dim=64, max_seq=101, dropout=NO_DROPOUT, random_split=0.2),
    ("dif_sr", "recommended"): dict(num_layers=2, num_heads=4, dim=128, inner_dim=256, attribute_dim=(64,), dropout=0.5)
    | dict(attention_dropout=0.3, fusion="sum", attribute_predictor="none", attributes_in_items=True),
    ("dif_sr", "paper"): dict(dropout=0.5, fusion="gate", attribute_predictor="linear", attribute_weight=(18.0,)),
    ("dif_sr", "original"): dict(dropout=0.5, fusion="gate", attribute_predictor="linear", attribute_weight=(10.0,)),
    ("dif_sr", "first_release"): dict(dropout=0.5, fusion="gate", attribute_predictor="linear", num_heads=4),
    ("sasrec", "recommended"): dict(max_history=50, num_layers=2, num_heads=4, dim=128, inner_dim=256, dropout=0.5)
    | dict(attention_dropout=0.3, activation="gelu", normalization="post", item_loss="ce", initializer_range=0.02),
    ("sasrec", "original"): dict(num_heads=1, dim=50, dropout=0.5, attention_dropout=0.5, item_loss="bce"),
}


def test_every_preset_is_pinned():
    assert {(model, preset) for model in MODELS for preset in PRESETS[model]} == RESOLVED.keys()


@pytest.mark.parametrize("model, preset", RESOLVED)
def test_presets_resolve_as_ever(model, preset):
    resolved = {**declarations.defaults(model), **PRESETS[model][preset]["model"]}
    assert resolved | RESOLVED[model, preset] == resolved


@pytest.mark.parametrize("model", MODELS)
def test_the_constructors_defaults_are_the_recommended_preset(model):
    assert PRESETS[model]["recommended"]["model"] == {}
    defaults = declarations.defaults(model)
    for preset in PRESETS[model].values():
        assert preset["model"].keys() <= defaults.keys()
