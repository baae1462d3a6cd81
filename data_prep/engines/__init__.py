"""Engines that turn a log into shards, vocabularies and the table of item attributes."""
