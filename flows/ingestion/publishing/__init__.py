"""Publishing: a manifest becomes an immutable dataset version with shards, statistics and data card."""
