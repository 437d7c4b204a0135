"""The ground floor, which all packages may import.

- `errors`: the base of all errors that a user may see, with exit statuses.
- `files`, `locks`, `object_store`: atomic writes, file locks, folders in object stores.
- `databases`: copies of SQLite databases that others write to.
- `digests`: content hashes.
- `processes`, `hardware`: process groups, ending with the parent, available cores.
- `settings`: dotted settings and `--set KEY=VALUE`.
- `wording`: counts in messages.
- `lake`: the paths of everything that is written.
- `services`: the local Prefect and MLflow servers.

`deepspeed/` holds DeepSpeed's settings for each ZeRO stage.
"""
