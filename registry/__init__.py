"""The registry: training runs, dataset lineage and model versions in MLflow."""
