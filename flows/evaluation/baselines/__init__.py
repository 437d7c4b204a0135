"""Baselines: pieces of an n-gram and of noise, composed through the grammar, the planning and the drawing of models.

Each is an executor in the place of a network, so that a piece of a baseline differs from one of a model in its
probabilities alone.
"""
