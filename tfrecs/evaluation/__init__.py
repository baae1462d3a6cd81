"""Protocols, and what measures a model and its baselines under one."""
