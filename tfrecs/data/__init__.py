"""Prepared data: its schema, manifest and records, and the tf.data pipelines that read them."""
