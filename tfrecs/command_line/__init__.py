"""Command lines: text in, values out; nothing else knows text."""
