"""The random process behind the dataset `sample`."""
