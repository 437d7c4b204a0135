"""The registry: all of musenet's use of MLflow, on a SQLite database of its own.

- `registry.store`: open the database (`Registry`), `RegistryError`
- `registry.runs`: training runs with parameters, metrics and status
- `registry.uploader`: upload a run's events to MLflow while it trains (`Uploader`)
- `registry.lineage`: the dataset version of a run or model (`DatasetReference`)
- `registry.models`: register model versions, move aliases, pull a version's files
- `registry.pyfunc_model`: the registered model behind MLflow's `predict`

Names are imported from these modules: importing the package itself loads neither MLflow nor PyTorch.
"""
