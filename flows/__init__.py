"""What is scheduled: ingestion, training, criticism, sampling; the engines they run on; and the `musenet` command."""
