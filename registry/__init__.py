"""The registry: all of musenet's use of MLflow, by default on a SQLite database in the lake, and models as composers.

`load("champion").compose(style="bach", seconds=30)` composes with a registered model.

- `registry.store`: open the store (`Registry`), `registry.relocation`: of a lake that was moved
- `registry.runs`: training runs with parameters, metrics and status
- `registry.uploader`: upload a run's events and samples to MLflow while it trains (`Uploader`), with its checkpoints
  (`registry.checkpoints`) and plots (`registry.plots`)
- `registry.lineage`: the dataset version of a run or model (`DatasetReference`)
- `registry.models`: list and find model versions, `registry.aliases`: who was champion when
- `registry.transfer`: versions as single files
- `registry.publishing`: register a version, `registry.packaging`: write its folder, `registry.manifest`: its digests
- `registry.pulling`: get a version's files, checked
- `registry.requests`: the request for a piece (`PieceRequest`), checked, with its digest
- `registry.prompts`: the music that a piece begins with (`Prompt`), `registry.openings`: pieces of a dataset as prompts
- `registry.style_map`: how alike a model's styles are (`StyleMap`)
- `registry.composer`: a model version that composes (`Composer`), `registry.piece`: the piece it made
- `registry.drafts`: a piece's tokens while it is made
- `registry.listening`: pieces note by note, while they are made (`listen`)
- `registry.tree`: candidates that go on from each other (`Tree`)
- `registry.serving`: a model over HTTP
- `registry.pyfunc_model`: the registered model behind MLflow's `predict`

Names are imported from these modules: importing the package itself loads neither MLflow nor PyTorch.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from registry.composer import Composer

__all__ = ["load"]


def load(reference: str = "champion", *, lake: str | os.PathLike[str] | None = None, device: str = "cpu") -> Composer:
    """Load a registered model by alias or version number; its `compose` makes pieces.

    `lake` is a folder or the URL of one in an object store; None takes `$MUSENET_LAKE`, else `./lake`. `device` is
    PyTorch's name of the device to compose on: `cpu`, `cuda`. Raises UserError for an unknown model.
    """
    from infra.lake import Lake
    from infra.services import library_settings

    with library_settings(Lake.at(lake)):
        from registry.loading import load_composer

        return load_composer(reference, lake, device)
