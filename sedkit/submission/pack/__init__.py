"""Writing a submission from experiments, events or scores."""
