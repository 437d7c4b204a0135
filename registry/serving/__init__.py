"""Serving: a model over HTTP, with one decoder for all requests.

- `registry.serving.settings`: address, limits and times (`ServingSettings`)
- `registry.serving.bodies`: what requests say, `registry.serving.answers`: what answers and events say
- `registry.serving.jobs`, `registry.serving.scheduler`: requests that wait, and those that are composed in turn
- `registry.serving.served`: the model that is served, `registry.serving.following`: by the alias that it has
- `registry.serving.service`: from a request to its answer, `registry.serving.scoring`: judgements of given pieces
- `registry.serving.listening`: notes while they are made, `registry.serving.streams`: as events
- `registry.serving.kept`: answers by their link
- `registry.serving.guards`: who may ask, and how much, `registry.serving.metrics`: figures for Prometheus
- `registry.serving.app`, `registry.serving.routes`: the application, `registry.serving.server`: uvicorn

It is not part of a registered version.
"""
