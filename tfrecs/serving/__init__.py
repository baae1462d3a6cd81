"""Answers of a trained model: recommendations as tables, explanations, and SavedModels for TensorFlow Serving."""
