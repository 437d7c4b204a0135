"""The local Prefect and MLflow servers."""

from infra.services.servers import Service, ServiceError, down, prefect_server, status, up

__all__ = ["Service", "ServiceError", "down", "prefect_server", "status", "up"]
