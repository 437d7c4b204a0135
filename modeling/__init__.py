"""MuseNet's network: configuration, sparse attention, training, generation and the inner critic."""
