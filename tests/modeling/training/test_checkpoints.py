"""Checkpoints: exact where they must be, detected where they are damaged, and never half written.

One rank is this process. Two ranks are this file, run as a program by two processes: see `job`.
"""

from __future__ import annotations

import json
import os
import re
import resource
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import deepspeed
import deepspeed.comm as comm
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from modeling.config import TrainingConfig
from modeling.training.checkpoints import CheckpointError, find_newest, full_state_dict, prune, restore, save
from modeling.training.deepspeed_config import build_deepspeed_config, load_settings
from modeling.training.optimisers import build_optimiser, build_schedule
from modeling.training.process_group import process_group, quiet

REPOSITORY = Path(__file__).parents[3]
SAVED, END = 3, 6
"""Steps after which a run is saved and ends."""
BATCH, TOKENS = 4, 17


class Network(nn.Module):
    """A table, two blocks and an output, with a buffer. Sizes are odd: where ranks meet, a matrix is cut."""

    scale: Tensor

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(7)
        self.table = nn.Embedding(TOKENS, 11)
        self.blocks = nn.ModuleList(
            nn.Sequential(nn.Linear(11, 19), nn.GELU(), nn.Linear(19, 13), nn.Linear(13, 11)) for _ in range(2)
        )
        self.norm = nn.LayerNorm(11)
        self.output = nn.Linear(11, TOKENS, bias=False)
        self.register_buffer("scale", torch.tensor(2.0))

    def forward(self, tokens_bt: Tensor) -> Tensor:
        x = self.table(tokens_bt)
        for block in self.blocks:
            x = x + block(x)
        logits = self.output(self.norm(x)) * self.scale
        return cross_entropy(logits.float().flatten(0, 1), (tokens_bt * 3 + 1).remainder(TOKENS).flatten())


def engine_of(form: dict[str, Any]) -> deepspeed.DeepSpeedEngine:
    """`form`: zero_stage, offload, optimiser, precision as in a run's configuration."""
    fixed = {"steps": END, "batch_size": BATCH, "micro_batch_size": 1, "learning_rate": 0.02, "warmup_steps": 2}
    training = TrainingConfig.model_validate({**fixed, "muon_learning_rate": 0.03, "weight_decay": 0.5, **form})
    model = Network()
    optimiser = build_optimiser(model, training)
    bf16 = training.precision == "bf16"
    content = build_deepspeed_config(
        load_settings(training.zero_stage, training.offload), training, comm.get_world_size(), bf16
    )
    with quiet():
        engine, *_ = deepspeed.initialize(
            model=model, optimizer=optimiser, lr_scheduler=build_schedule(optimiser, training), config=content
        )
    return engine


def train(engine: deepspeed.DeepSpeedEngine, first: int, stop: int) -> list[float]:
    """The losses of steps, over all ranks."""
    losses = []
    for step in range(first, stop):
        tokens = torch.randint(TOKENS, (BATCH, 1, 5), generator=torch.Generator().manual_seed(step))
        total = torch.zeros(())
        for micro in tokens[comm.get_rank() :: comm.get_world_size()]:
            loss = engine(micro)
            engine.backward(loss)
            engine.step()
            total += loss.detach().float() / BATCH
        if comm.get_world_size() > 1:
            comm.all_reduce(total)
        losses.append(float(total))
    return losses


class Run(NamedTuple):
    """What comes behind a checkpoint."""

    losses: list[float]
    weights: dict[str, Tensor]
    """At the end, on rank 0."""
    momenta: dict[str, Tensor]
    """Muon's, right behind the checkpoint: see `momenta_of`."""


def whole_run(form: dict[str, Any], folder: Path) -> Run:
    """A run that saves on its way."""
    engine = engine_of(form)
    train(engine, 0, SAVED)
    save(engine, folder, SAVED, {"seconds": 1.5})
    momenta = momenta_of(engine)
    return Run(train(engine, SAVED, END), ended(engine), momenta)


def resumed_run(form: dict[str, Any], folder: Path) -> Run:
    """The same, begun from what was saved."""
    checkpoint, warnings = find_newest(folder)
    assert checkpoint is not None and warnings == []
    engine = engine_of(form)
    assert restore(engine, checkpoint) == {"seconds": 1.5}
    momenta = momenta_of(engine)
    return Run(train(engine, checkpoint.step, END), ended(engine), momenta)


def momenta_of(engine: deepspeed.DeepSpeedEngine) -> dict[str, Tensor]:
    """Collective: the momenta of Muon's matrices, whole and flat; where ranks keep them whole, what this one has."""
    names = {p: name for name, p in engine.module.named_parameters() if getattr(p, "use_muon", False)}
    optimiser = engine.optimizer
    if not names:
        return {}
    if type(optimiser).__name__ == "DeepSpeedZeroOptimizer" and not engine.zero_cpu_offload():
        (flat,), matrices = optimiser.param_groups[0]["params"], optimiser.params_in_partition[0]
        momenta = optimiser.state[flat]["momentum_buffer"].float().split([p.numel() for p in matrices])
        return {names[p]: momentum.clone() for p, momentum in zip(matrices, momenta)}
    if engine.zero_optimization_stage() < 3:
        optimiser._lazy_init_hp_params_optimizer_state()
    get = deepspeed.utils.safe_get_full_optimizer_state
    return {name: get(p, "momentum_buffer").flatten().clone() for p, name in names.items()}


def ended(engine: deepspeed.DeepSpeedEngine) -> dict[str, Tensor]:
    weights = full_state_dict(engine) or {}
    engine.destroy()
    return weights


def equal(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(other[name], weight) for name, weight in one.items())


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@contextmanager
def full_disk(size: int = 4096) -> Iterator[None]:
    """No file may become larger than `size` bytes: the system refuses, as on a full disk, in the middle of a write."""
    usual = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, usual[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, usual)


pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("one_rank")]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def place(rank: int, ranks: int, port: int) -> dict[str, str]:
    numbers = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": ranks, "LOCAL_SIZE": ranks, "MASTER_PORT": port}
    return {**{name: str(number) for name, number in numbers.items()}, "MASTER_ADDR": "127.0.0.1"}


MUON = {"optimiser": "muon"}
FORMS: dict[str, dict[str, Any]] = {
    "ZeRO-1": {"zero_stage": 1},
    "ZeRO-1, bf16": {"zero_stage": 1, "precision": "bf16"},
    "ZeRO-1, offload, bf16": {"zero_stage": 1, "offload": True, "precision": "bf16"},
    "ZeRO-2": {"zero_stage": 2},
    "ZeRO-2, bf16": {"zero_stage": 2, "precision": "bf16"},
    "ZeRO-3": {"zero_stage": 3},
    "ZeRO-3, offload, bf16": {"zero_stage": 3, "offload": True, "precision": "bf16"},
    "ZeRO-1, Muon": MUON | {"zero_stage": 1},
    "ZeRO-1, Muon, bf16": MUON | {"zero_stage": 1, "precision": "bf16"},
    "ZeRO-2, Muon, offload": MUON | {"zero_stage": 2, "offload": True},
    "ZeRO-2, Muon, bf16": MUON | {"zero_stage": 2, "precision": "bf16"},
    "ZeRO-3, Muon": MUON | {"zero_stage": 3},
}


REPEATED = ("ZeRO-2", "ZeRO-1, bf16", "ZeRO-1, Muon", "ZeRO-2, Muon, bf16")
"""Forms of which the others have all parts."""


class TestGoingOn:
    @pytest.mark.parametrize(
        "form",
        [
            pytest.param(form, id=name, marks=[pytest.mark.thorough] if name in REPEATED else [])
            for name, form in FORMS.items()
        ],
    )
    def test_comes_to_the_very_weights_of_an_uninterrupted_run(self, form: dict[str, Any], tmp_path: Path) -> None:
        run = whole_run(form, tmp_path)
        again = resumed_run(form, tmp_path)
        assert again.losses == run.losses
        assert equal(again.weights, run.weights)

    @pytest.mark.parametrize(
        ("before", "after"),
        [
            ({"zero_stage": 1}, {"zero_stage": 2, "precision": "bf16", "offload": True}),
            (MUON | {"zero_stage": 1}, MUON | {"zero_stage": 2, "precision": "bf16", "offload": True}),
            (MUON | {"zero_stage": 3}, MUON | {"zero_stage": 3, "precision": "bf16", "offload": True}),
        ],
    )
    def test_with_another_stage_and_precision_comes_close(
        self, before: dict[str, Any], after: dict[str, Any], tmp_path: Path
    ) -> None:
        run = whole_run(before, tmp_path)
        again = resumed_run(after, tmp_path)
        assert again.losses == pytest.approx(run.losses, rel=0.02)
        assert equal(again.momenta, run.momenta)
        assert len(again.momenta) == (6 if "optimiser" in after else 0)
        assert names(tmp_path) == ["step00000003"]

    @pytest.mark.parametrize(
        ("before", "after", "message"),
        [
            ({"zero_stage": 1}, {"zero_stage": 3}, "zero_stage=1 and the run has 3: only 1 and 2 can be exchanged"),
            ({"zero_stage": 3}, {"zero_stage": 2}, "zero_stage=3 and the run has 2: only 1 and 2 can be exchanged"),
            ({"zero_stage": 1}, MUON, "saved by AdamW and the run has MuonWithAuxAdam"),
        ],
    )
    def test_is_refused_where_it_cannot_be(
        self, before: dict[str, Any], after: dict[str, Any], message: str, tmp_path: Path
    ) -> None:
        whole_run(before, tmp_path)
        with pytest.raises(CheckpointError, match=message) as error:
            resumed_run(after, tmp_path)
        assert "start a new run" in str(error.value)
        assert "\n" not in str(error.value)

    def test_is_refused_where_the_disk_is_full(self, tmp_path: Path) -> None:
        whole_run(MUON | {"zero_stage": 1}, tmp_path)
        with full_disk(1024), pytest.raises(CheckpointError) as error:
            resumed_run(MUON | {"zero_stage": 2}, tmp_path)
        assert "cannot be converted for 1 (File too large): make room" in str(error.value)
        assert names(tmp_path) == ["step00000003"]


class TestWeights:
    @pytest.mark.parametrize("stage", [1, 2, 3])
    def test_are_those_of_the_network(self, stage: int) -> None:
        engine = engine_of({"zero_stage": stage})
        found = ended(engine)
        expected = Network().state_dict()
        assert list(found) == list(expected)
        assert equal(found, expected)

    def test_have_32_bits_where_the_network_has_16(self) -> None:
        engine = engine_of(FORMS["ZeRO-2, bf16"])
        train(engine, 0, 1)
        found = full_state_dict(engine)
        assert found is not None
        for name, weight in engine.module.named_parameters():
            assert torch.equal(found[name].bfloat16(), weight)
            assert not torch.equal(found[name], weight.float())
        engine.destroy()


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of two checkpoints, of steps 1 and 2. Not to be changed."""
    folder = tmp_path_factory.mktemp("saved")
    engine = engine_of({"zero_stage": 1})
    for step in (1, 2):
        train(engine, step - 1, step)
        save(engine, folder, step, {"seconds": float(step), "best": float("inf")})
    engine.destroy()
    return folder


@pytest.fixture
def folder(saved: Path, tmp_path: Path) -> Path:
    """A copy of one's own, to damage."""
    return Path(shutil.copytree(saved, tmp_path / "checkpoints"))


WEIGHTS, OPTIMISER = "mp_rank_00_model_states.pt", "zero_pp_rank_0_mp_rank_00_optim_states.pt"


def truncate(path: Path) -> None:
    (path / OPTIMISER).write_bytes((path / OPTIMISER).read_bytes()[:-100])


def clear(path: Path) -> None:
    size = (path / WEIGHTS).stat().st_size
    (path / WEIGHTS).write_bytes(b"\0" * size)


DAMAGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "truncated": (truncate, rf"{OPTIMISER} has \d+ bytes instead of \d+"),
    "zeroed by a crash": (clear, f"the content of {WEIGHTS} is not what was written"),
    "a lost file": (lambda path: (path / WEIGHTS).unlink(), f"{WEIGHTS} is missing"),
    "no manifest": (lambda path: (path / "checkpoint.json").unlink(), "checkpoint.json is missing"),
    "half a manifest": (lambda path: os.truncate(path / "checkpoint.json", 90), "checkpoint.json is not what was"),
    "another manifest": (lambda path: (path / "checkpoint.json").write_text("{}"), "checkpoint.json is not what was"),
}


class TestDamage:
    def test_the_newest_is_found(self, saved: Path) -> None:
        checkpoint, warnings = find_newest(saved)
        assert checkpoint is not None and warnings == []
        assert (checkpoint.path, checkpoint.step) == (saved / "step00000002", 2)
        assert checkpoint.state == {"seconds": 2.0, "best": float("inf")}
        assert (
            checkpoint.partitioning.ranks,
            checkpoint.partitioning.zero_stage,
            checkpoint.partitioning.optimiser,
        ) == (1, 1, "AdamW")

    @pytest.mark.parametrize(("damage", "reason"), DAMAGES.values(), ids=DAMAGES)
    def test_is_noticed_and_the_one_before_is_used(
        self, damage: Callable[[Path], object], reason: str, folder: Path
    ) -> None:
        damage(folder / "step00000002")
        checkpoint, (warning,) = find_newest(folder)
        assert checkpoint is not None and checkpoint.step == 1
        assert warning.startswith(f"the checkpoint {folder / 'step00000002'} is damaged (")
        assert re.search(reason, warning)

    @settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(st.data())
    def test_no_changed_byte_goes_unnoticed(self, folder: Path, data: st.DataObject) -> None:
        path = folder / "step00000002" / data.draw(st.sampled_from([WEIGHTS, OPTIMISER]))
        content = path.read_bytes()
        place = data.draw(st.integers(0, len(content) - 1))
        changed = bytes([content[place] ^ data.draw(st.integers(1, 255))])
        path.write_bytes(content[:place] + changed + content[place + 1 :])
        checkpoint, warnings = find_newest(folder)
        path.write_bytes(content)
        assert checkpoint is not None and checkpoint.step == 1
        assert len(warnings) == 1

    def test_nothing_good_is_none(self, folder: Path, tmp_path: Path) -> None:
        for path in folder.iterdir():
            truncate(path)
        checkpoint, warnings = find_newest(folder)
        assert checkpoint is None and len(warnings) == 2
        assert find_newest(tmp_path / "not there") == (None, [])

    def test_steps_done_again_replace_what_was_damaged(self, folder: Path) -> None:
        engine = engine_of({"zero_stage": 1})
        shutil.copytree(folder / "step00000002", folder / "step00000009")
        save(engine, folder, 2, {"seconds": 9.0})
        engine.destroy()
        assert names(folder) == ["step00000001", "step00000002"]
        checkpoint, _ = find_newest(folder)
        assert checkpoint is not None and checkpoint.state == {"seconds": 9.0}


class TestSaving:
    def test_tells_its_size(self, tmp_path: Path) -> None:
        engine = engine_of({"zero_stage": 1})
        size = save(engine, tmp_path, 1, {})
        engine.destroy()
        files = {path.name: path.stat().st_size for path in (tmp_path / "step00000001").iterdir()}
        del files["checkpoint.json"]
        assert size == sum(files.values())
        assert files.keys() == {WEIGHTS, OPTIMISER}

    def test_leftovers_of_killed_runs_are_passed_over_and_removed(self, folder: Path) -> None:
        for leftover in (".step00000003.saving", ".step00000002.universal", ".step00000000.removed"):
            shutil.copytree(folder / "step00000002", folder / leftover)
        checkpoint, warnings = find_newest(folder)
        assert checkpoint is not None and (checkpoint.step, warnings) == (2, [])
        engine = engine_of({"zero_stage": 1})
        save(engine, folder, 3, {})
        engine.destroy()
        assert names(folder) == ["step00000001", "step00000002", "step00000003"]

    def test_a_full_disk_leaves_what_there_was(self, folder: Path) -> None:
        engine = engine_of({"zero_stage": 1})
        with full_disk(), pytest.raises(CheckpointError) as error:
            save(engine, folder, 3, {})
        message = str(error.value)
        assert message.startswith(
            f"the checkpoint of step 3 cannot be written to {folder} ({WEIGHTS}: File too large; "
        )
        assert "GB are free): make room there" in message and "\n" not in message
        assert names(folder) == ["step00000001", "step00000002"]
        checkpoint, warnings = find_newest(folder)
        assert checkpoint is not None and (checkpoint.step, warnings) == (2, [])
        save(engine, folder, 3, {})  # there is room again
        engine.destroy()
        assert names(folder) == ["step00000001", "step00000002", "step00000003"]

    def test_a_folder_that_cannot_be_made(self, tmp_path: Path) -> None:
        (tmp_path / "file").touch()
        engine = engine_of({"zero_stage": 1})
        with pytest.raises(CheckpointError, match="Not a directory"):
            save(engine, tmp_path / "file" / "checkpoints", 1, {})
        engine.destroy()

    def test_pruning_keeps_the_newest(self, folder: Path) -> None:
        assert [state["seconds"] for state in prune(folder, 2)] == [1.0, 2.0]
        assert [state["seconds"] for state in prune(folder, 1)] == [2.0]
        assert names(folder) == ["step00000002"]


CHANGED = ("ZeRO-1", "ZeRO-3", "ZeRO-1, Muon", "ZeRO-2, Muon, offload", "ZeRO-3, Muon")
"""The forms that differ in what a rank keeps: stages 1 and 2 keep the same."""
FEW = ("ZeRO-1, Muon", "ZeRO-3")
"""Of these, one for each way to divide a network; the first has matrices of Muon and others of AdamW."""


def job(folder: Path, forms: Sequence[str]) -> dict[str, Any]:
    """What two ranks do: go on from what one rank has saved, if it has; save for one rank; be exact; fail together."""
    found: dict[str, Any] = {"from one rank": {}, "own": {}, "exact": {}}
    for name in forms:
        if (folder / "one" / name).exists():
            found["from one rank"][name] = told(resumed_run(FORMS[name], folder / "one" / name))
        run = whole_run(FORMS[name], folder / "two" / name)
        again = resumed_run(FORMS[name], folder / "two" / name)
        found["own"][name] = told(run)
        found["exact"][name] = again.losses == run.losses and equal(again.weights, run.weights)
    engine = engine_of({"zero_stage": 2})
    try:
        if comm.get_rank() == 1:
            with full_disk():
                save(engine, folder / "full", 1, {})
        else:
            save(engine, folder / "full", 1, {})
    except CheckpointError as error:
        found["failure"] = str(error)
    comm.barrier()
    found["left"] = names(folder / "full")
    return found


def told(run: Run) -> dict[str, Any]:
    """What a rank tells of a run."""
    return {"losses": run.losses, "momenta": {name: momentum.tolist() for name, momentum in run.momenta.items()}}


def run_job(folder: Path, forms: Sequence[str]) -> tuple[list[dict[str, Any]], str]:
    """The results of both ranks, and all that they printed."""
    port = free_port()
    extensions = {"TORCH_EXTENSIONS_DIR": str(Path(sys.prefix) / "torch_extensions"), "OMP_NUM_THREADS": "1"}
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
    everywhere = {**os.environ, **extensions, "PATH": path, "PYTHONPATH": str(REPOSITORY)}
    ranks = [
        subprocess.Popen(
            [sys.executable, __file__, str(folder), *forms],
            env={**everywhere, **place(rank, 2, port)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for rank in range(2)
    ]
    try:
        outputs = [rank.communicate(timeout=800)[0] for rank in ranks]
    finally:
        for rank in ranks:
            rank.kill()
    assert [rank.returncode for rank in ranks] == [0, 0], "\n".join(outputs)
    return [json.loads((folder / f"{rank}.json").read_text()) for rank in range(2)], "".join(outputs)


def momenta_of_two(ranks: tuple[dict[str, Any], ...]) -> dict[str, Tensor]:
    """The momenta of which two ranks have told; of some, both have."""
    first, second = (rank["momenta"] for rank in ranks)
    assert all(second[name] == first[name] for name in first.keys() & second.keys())
    return {name: torch.tensor(momentum) for name, momentum in {**first, **second}.items()}


class TestRanks:
    @pytest.mark.parametrize("forms", [FEW, pytest.param(CHANGED, marks=pytest.mark.thorough)], ids=["few", "all"])
    def test_two_are_exact_change_to_one_and_back_and_fail_together(self, forms: Sequence[str], tmp_path: Path) -> None:
        one = {name: whole_run(FORMS[name], tmp_path / "one" / name) for name in forms}
        (first, second), output = run_job(tmp_path, forms)
        # One rank's checkpoint, gone on with by two; two ranks' own; and theirs, gone on with by one.
        for name, run in one.items():
            to_two, two = ((first[key][name], second[key][name]) for key in ("from one rank", "own"))
            to_one = resumed_run(FORMS[name], tmp_path / "two" / name)
            for losses in (to_two[0]["losses"], two[0]["losses"], to_one.losses):
                assert losses == pytest.approx(run.losses, rel=1e-5)
            assert equal(momenta_of_two(to_two), run.momenta)
            assert equal(momenta_of_two(two), to_one.momenta)
            assert len(run.momenta) == (6 if "Muon" in name else 0)
        assert set(first["exact"].values()) == {True}
        # Only the second rank's disk was full.
        assert first["failure"] == second["failure"]
        assert "File too large" in first["failure"]
        assert first["left"] == []
        assert "[INFO]" not in output and "Memory" not in output

    @pytest.mark.thorough  # the test above changes the ranks, `TestGoingOn` stage and precision
    def test_one_goes_on_from_two_in_another_stage_and_16_bits(self, tmp_path: Path) -> None:
        name = "ZeRO-1, Muon, bf16"
        (first, second), _ = run_job(tmp_path, [name])
        assert first["exact"][name]
        to_one = resumed_run(FORMS["ZeRO-2, Muon, bf16"], tmp_path / "two" / name)
        assert to_one.losses == pytest.approx(first["own"][name]["losses"], rel=0.02)
        assert equal(momenta_of_two((first["own"][name], second["own"][name])), to_one.momenta)


def main() -> None:
    torch.set_num_threads(1)
    folder, forms = Path(sys.argv[1]), sys.argv[2:]
    with process_group() as rank:
        found = job(folder, forms)
        (folder / f"{rank}.json").write_text(json.dumps(found))


if __name__ == "__main__":
    main()
