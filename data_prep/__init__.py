"""Raw logs to prepared data: sources, filters, vocabularies, splits and the engine that runs them."""
