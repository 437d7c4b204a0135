"""Evaluation: what a trained model is worth, and its way into the registry."""
