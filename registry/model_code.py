"""The file that MLflow runs to load a version: models from code, instead of a pickled object."""

from mlflow.models import set_model

from registry.pyfunc_model import MuseNetModel

set_model(MuseNetModel())
