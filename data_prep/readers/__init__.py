"""Raw files as interactions and item attributes, in bounded blocks: a module per format, and what formats share."""
