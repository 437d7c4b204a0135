"""Training: launch the DeepSpeed job of a run, follow its events, resume it and report on it.

- `flow`: the Prefect flow (`train`, `TrainParameters`)
- `config_file`: configuration files of runs (TOML)
- `runs`: runs in the lake, prepared, listed and found (`Run`)
- `history`, `status`, `report`: a run's events added up; its line in `musenet runs`; the report of a finished one
- `launcher`: the job's processes, with `guard`, `hostfile`, `remote_hosts`, `job_environment`, `job_log` and
  `compiled_extensions`
"""
