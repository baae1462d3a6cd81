"""From a recipe to a trained model: what a run is made of, the loop, distribution, and the memory it needs."""
