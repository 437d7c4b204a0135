"""The network: embeddings, transformer blocks, sparse attention, loss."""
