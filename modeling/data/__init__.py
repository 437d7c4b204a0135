"""Training data: windows of the tokens of a dataset version, in batches."""
