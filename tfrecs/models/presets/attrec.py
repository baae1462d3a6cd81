"""AttRec's presets, and the names its originals gave to flags."""

PRESETS = {
    # Chosen on ml-100k's validation items (seed 0); dropout, margin and the falling rate moved them most.
    "recommended": {
        "model": dict(margin=0.5, dropout=0.2, l2=1e-5),
        "training": dict(learning_rate=4e-3, batch_size=1024, epochs=12, decay_epochs=12, select_metric="ndcg@50"),
    },
    "original": {
        "model": dict(
            dropout=0.5,
            diagonal="zeroed",
            mask_padding=False,
            signal_exponent=2.0,
            norm_bound="lookup",
            unit_user_in_training=True,
            partial_windows=False,
            pair_reduction="mean",
            loss_reduction="sum",
            clip_unmerged_rows=True,
            negatives_include_pad=True,
            negatives_exclude_held_out=True,
            rank_pad=True,
        ),
        "training": dict(
            learning_rate=1e-2,
            batch_size=256,
            global_clipnorm=10.0,
            epsilon=1e-8,
            exclude_seen=False,
            train_split="train_valid",
            validation_split="test",
            select_metric="hr@50",
        ),
    },
}
PRESETS["port2024"] = {
    "model": PRESETS["original"]["model"] | dict(shared_projection=False, prediction_aggregation="max"),
    "training": PRESETS["original"]["training"],
}
# The originals' flag names: (ours, how the value changes).
ALIASES = {
    "emb_size": ("embedding_dim", None),
    "embedding_size": ("embedding_dim", None),
    "sequence_length": ("max_history", None),
    "target_length": ("num_targets", None),
    "neg_sample_count": ("num_negatives", None),
    "w": ("user_weight", None),
    "gamma": ("margin", None),
    "l2_lambda": ("l2", None),
    "keep_prob": ("dropout", lambda keep: 1.0 - keep),
    "grad_clip": ("global_clipnorm", None),
}
