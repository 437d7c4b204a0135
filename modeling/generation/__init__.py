"""Generation: sample token sequences from a trained network and rank them by the critic."""
