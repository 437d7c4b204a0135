"""Registration: a finished run and its critic become a model version in the registry."""
