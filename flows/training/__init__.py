"""Training: the DeepSpeed job, launched, followed, resumed and reported."""
