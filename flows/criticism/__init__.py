"""Criticism: the inner critic learns to tell the data from the model's own past generations."""
