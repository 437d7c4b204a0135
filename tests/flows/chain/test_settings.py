"""The file chain.toml: which datasets are followed, with which parameters, checked before anything is deployed."""

from __future__ import annotations

from pathlib import Path

import pytest

from flows.chain.settings import CHAIN_FILE, ChainSettings, chain_settings, read_chain
from flows.chain.stages import CHAIN
from infra.errors import UserError
from infra.lake import Lake

IDS = {stage.deployment: f"id of {stage.deployment}" for stage in CHAIN}


def test_without_a_file_all_datasets_are_followed_by_default_parameters(tmp_path: Path) -> None:
    assert chain_settings(Lake(tmp_path)) == ChainSettings()
    automations = ChainSettings().automations(IDS)
    assert [each.action["deployment_id"] for each in automations] == [*IDS.values()]
    assert all("prefect.resource.id" not in each.trigger["match"] for each in automations)


def test_a_lake_has_its_own(tmp_path: Path) -> None:
    (tmp_path / CHAIN_FILE).write_text(
        'datasets = ["lakh", "mine"]\n[train]\npreset = "small"\nsettings = {"training.steps" = 400}\n'
        "[evaluate.settings]\npieces = 64\n"
    )
    train, critic, _, evaluate, *_ = chain_settings(Lake(tmp_path)).automations(IDS)
    assert train.trigger["match"]["prefect.resource.id"] == ["musenet.dataset.lakh.*", "musenet.dataset.mine.*"]
    assert "prefect.resource.id" not in critic.trigger["match"], "what follows is about runs and models"
    given = train.action["parameters"]["parameters"]
    assert (given["preset"], given["settings"]) == ("small", {"training.steps": 400})
    assert evaluate.action["parameters"]["parameters"]["settings"] == {"pieces": 64}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[trian]\n", "no stage of the chain 'trian'; there are: train, "),
        ("train = 3", "train = 3 is no table of parameters"),
        ('datasets = "lakh"', "datasets = 'lakh' is no list of names"),
        ("[train]\nprset = 'small'", r"\[train\] .*prset"),
        ("[critic]\nrounds = 0", r"\[critic\] .*rounds"),
        ("[evaluate]\nsource = '3'", r"\[evaluate\] source is given by the event musenet.model.registered; leave"),
        ("[train", "is not valid TOML"),
    ],
)
def test_a_fault_is_named_with_its_file(text: str, message: str, tmp_path: Path) -> None:
    file = tmp_path / CHAIN_FILE
    file.write_text(text)
    with pytest.raises(UserError, match=message) as raised:
        read_chain(file)
    assert str(raised.value).startswith(str(file))


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=f"{tmp_path} cannot be read: "):
        read_chain(tmp_path)
