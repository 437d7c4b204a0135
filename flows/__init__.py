"""What is scheduled: ingestion, training, criticism, sampling, and the `musenet` command."""
