"""Building blocks shared by the models; Keras only, no data."""
