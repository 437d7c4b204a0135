"""Training: the job that the `deepspeed` launcher starts on every rank."""
