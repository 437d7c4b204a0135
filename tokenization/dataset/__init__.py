"""The dataset version on disk: manifest, shards, windows."""
