-- Run by PostgreSQL's image in an empty volume; the database of Prefect is there by then.
CREATE DATABASE mlflow;
