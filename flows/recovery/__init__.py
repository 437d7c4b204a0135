"""Recovery: what runs that were killed have left open is closed."""
