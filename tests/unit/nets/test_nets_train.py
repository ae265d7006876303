"""The training loop: the same bytes, the average that counts, and the best epoch."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from bolus.errors import Code, InputError, MetadataError, QuantityError, ResourceError
from bolus.nets.batches import Batches, Share, generator, seeded
from bolus.nets.checkpoints import packed, unpacked
from bolus.nets.machine import Machine
from bolus.nets.train import CHECKPOINT, TrainSettings, train

PROGRAM = Path(__file__).with_name("train_and_die.py")
TOGETHER = Path(__file__).with_name("train_together.py")


class Lines:
    """Learn slope and offset of noisy lines, with dropout that draws."""

    def __init__(self, seed=1):
        with seeded(seed, "lines"):
            self.network = nn.Sequential(nn.Linear(3, 8), nn.Dropout(0.1), nn.Linear(8, 1))
        self.epochs = []

    def training_loss(self, batch, random):
        noise = 0.01 * torch.randn(batch[0].shape, generator=random)
        return {"loss": (self.network(batch[0] + noise) - batch[1]).square().mean()}

    def validation_loss(self, batch):
        error = self.network(batch[0]) - batch[1]
        return {"loss": error.square().mean(), "absolute": error.abs().mean()}

    def after_epoch(self, epoch, random):
        self.epochs.append((epoch, float(torch.rand(1, generator=random))))


def examples(count, seed):
    x = torch.randn(count, 3, generator=generator(seed, "x"))
    return x, x @ torch.tensor([[1.0], [-2.0], [0.5]]) + 0.3


SETTINGS = TrainSettings(epochs=4, batch_size=16, learning_rate=0.02, seed=5)
SHORT = TrainSettings(epochs=1, batch_size=50, learning_rate=0.02, seed=5)


def fit(task=None, settings=SETTINGS, **more):
    return train(task or Lines(), examples(100, 1), examples(40, 2), settings=settings, **more)


def tensors(trained):
    return b"".join(v.numpy().tobytes() for v in trained.network.state_dict().values())


def test_the_same_seed_gives_the_same_bytes_whatever_torch_drew_before():
    first = tensors(fit())
    torch.rand(7)

    assert tensors(fit()) == first


def test_another_seed_gives_other_weights():
    other = TrainSettings(epochs=4, batch_size=16, learning_rate=0.02, seed=6)

    assert tensors(fit(settings=other)) != tensors(fit())


def test_torchs_own_generator_is_left_as_it_was():
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    fit()

    assert torch.equal(torch.rand(2), expected)


def test_it_learns_and_says_so_every_epoch():
    seen = []
    done = fit(settings=TrainSettings(epochs=30, batch_size=16, learning_rate=0.05, seed=5),
               on_epoch=seen.append)  # fmt: skip
    curve = [row.losses["validation_loss"] for row in done.history]

    assert curve[-1] < 0.1 * curve[0]
    assert [row.epoch for row in seen] == list(range(len(curve)))
    assert {"training_loss", "validation_loss", "validation_absolute"} <= set(seen[0].losses)
    assert done.device == "cpu"


class Recorded(Lines):
    """Notes the weights after every step: at the next one, and at the end of an epoch."""

    def __init__(self):
        super().__init__()
        self.steps = []

    def training_loss(self, batch, random):
        self.note()
        return super().training_loss(batch, random)

    def after_epoch(self, epoch, random):
        self.note()

    def note(self):
        now = self.network.state_dict()["0.weight"].clone()
        if not (self.steps and torch.equal(self.steps[-1], now)):
            self.steps.append(now)


def test_what_comes_back_is_the_exponential_average_of_all_steps():
    task = Recorded()
    done = fit(task, TrainSettings(epochs=6, batch_size=16, learning_rate=0.02, seed=5,
                                   ema_decay=0.9))  # fmt: skip
    average = task.steps[1]
    for n, weights in enumerate(task.steps[2:], start=1):
        kept = min(0.9, (1 + n) / (10 + n))
        average = kept * average + (1 - kept) * weights

    assert done.best_epoch == 5
    assert len(task.steps) == 1 + 6 * 7
    torch.testing.assert_close(done.network.state_dict()["0.weight"], average)
    assert not torch.allclose(average, task.steps[-1], rtol=1e-3)


def test_what_comes_back_is_what_was_validated():
    task = Lines()
    done = fit(task)
    found = float(task.validation_loss(examples(40, 2))["loss"].detach())

    assert found == pytest.approx(done.history[done.best_epoch].losses["validation_loss"], rel=1e-6)


def test_the_best_epoch_comes_back_and_patience_ends_it():
    class Worse(Lines):
        def validation_loss(self, batch):
            best = 1.0 if len(self.epochs) == 2 else 2.0 + len(self.epochs)
            return {"loss": torch.tensor(best)}

    task = Worse()
    kept = []

    def look(row):
        kept.append(task.network.state_dict()["0.weight"].clone())

    done = fit(task, TrainSettings(epochs=20, batch_size=16, learning_rate=0.02, seed=5,
                                   patience=3), on_epoch=look)  # fmt: skip

    assert (done.best_epoch, len(done.history)) == (1, 5)
    assert torch.equal(done.network.state_dict()["0.weight"], kept[1])


def test_the_task_is_called_after_every_epoch_with_its_own_randomness():
    first, again = Lines(), Lines()
    fit(first)
    fit(again)

    assert first.epochs == again.epochs
    assert len({draw for _, draw in first.epochs}) == 4


@pytest.mark.parametrize("when", ["writing", pytest.param("after", marks=pytest.mark.slow)])
def test_a_killed_training_goes_on_to_the_same_bytes(tmp_path, when):
    """Killed in the middle of writing its second checkpoint, or before that."""
    run = [sys.executable, str(PROGRAM), str(tmp_path), when]
    died = subprocess.run(run, check=False)
    ran = []
    gone_on, whole = fit(folder=tmp_path, on_epoch=ran.append), fit()

    assert died.returncode == -signal.SIGKILL
    assert [row.epoch for row in ran] == [1, 2, 3]
    assert tensors(gone_on) == tensors(whole)
    losses = [[dict(row.losses) for row in done.history] for done in (gone_on, whole)]
    assert losses[0] == losses[1]


def test_a_finished_training_is_not_done_again(tmp_path):
    seen = []
    first = fit(folder=tmp_path)
    second = fit(folder=tmp_path, on_epoch=seen.append)

    assert seen == []
    assert tensors(second) == tensors(first)
    assert second.history == first.history


def test_other_data_or_settings_are_refused_in_the_same_folder(tmp_path):
    fit(folder=tmp_path)
    other = TrainSettings(epochs=5, batch_size=16, learning_rate=0.02, seed=5)

    for changed in (
        lambda: fit(settings=other, folder=tmp_path),
        lambda: fit(Lines(seed=2), folder=tmp_path),
        lambda: fit(about={"commitment": 0.5}, folder=tmp_path),
        lambda: train(
            Lines(), examples(100, 9), examples(40, 2), settings=SETTINGS, folder=tmp_path
        ),
    ):
        with pytest.raises(InputError, match="other settings or other data") as refused:
            changed()
        assert refused.value.code is Code.TRAINING_MISMATCH


def test_a_network_of_another_shape_is_refused_in_the_same_folder(tmp_path):
    class Wide(Lines):
        def __init__(self):
            self.network, self.epochs = nn.Linear(3, 1), []

    fit(folder=tmp_path)
    with pytest.raises(InputError, match="another network"):
        fit(Wide(), folder=tmp_path)


@pytest.mark.parametrize("place", [3, 40, 0.3, 0.7, -1])
def test_a_flipped_bit_in_a_checkpoint_is_refused(tmp_path, place):
    fit(settings=SHORT, folder=tmp_path)
    file = tmp_path / CHECKPOINT
    content = bytearray(file.read_bytes())
    content[int(place * len(content)) if isinstance(place, float) else place] ^= 4
    file.write_bytes(content)

    with pytest.raises(InputError, match="damaged"):
        fit(settings=SHORT, folder=tmp_path)


def test_a_loss_that_is_no_number_is_said():
    class Broken(Lines):
        def validation_loss(self, batch):
            return {"loss": torch.tensor(float("nan"))}

    with pytest.raises(InputError, match="lower the learning rate"):
        fit(Broken())


def test_indices_in_buffers_are_not_averaged():
    """0.9 times 7 plus 0.1 times 7 is below 7 in single precision, and would be cut to 6."""

    class Indexed(Lines):
        def __init__(self):
            super().__init__()
            self.network[1].register_buffer("places", torch.arange(300))

    done = fit(Indexed(), TrainSettings(epochs=4, batch_size=16, learning_rate=0.02, seed=5,
                                        ema_decay=0.9))  # fmt: skip

    assert torch.equal(done.network.state_dict()["1.places"], torch.arange(300))


def test_ctrl_c_is_an_interrupt_and_the_folder_can_go_on(tmp_path):
    whole = tensors(fit())
    before = signal.getsignal(signal.SIGINT)

    def stop(row):
        if row.epoch == 2:
            os.kill(os.getpid(), signal.SIGINT)

    if before is signal.SIG_IGN:
        pytest.skip("this shell ignores Ctrl-C")
    with pytest.raises(KeyboardInterrupt):
        fit(folder=tmp_path, on_epoch=stop)

    assert signal.getsignal(signal.SIGINT) is before
    assert (tmp_path / CHECKPOINT).is_file()
    assert tensors(fit(folder=tmp_path)) == whole


def test_values_that_are_not_finite_are_refused():
    x, y = examples(20, 1)
    with pytest.raises(QuantityError, match="not finite"):
        train(Lines(), (x, y / 0), (x, y), settings=SETTINGS)
    with pytest.raises(QuantityError, match="examples"):
        train(Lines(), (x, y[:3]), (x, y), settings=SETTINGS)


@pytest.mark.parametrize("wrong", [{"epochs": 0}, {"learning_rate": 0.0}, {"ema_decay": 1.0},
                                   {"schedule": "steps"}])  # fmt: skip
def test_settings_that_cannot_be_are_refused(wrong):
    with pytest.raises(MetadataError, match="cannot be"):
        TrainSettings(**({"epochs": 1, "batch_size": 1, "learning_rate": 1.0, "seed": 1} | wrong))


def test_a_gpu_that_is_not_there_is_said():
    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    with pytest.raises(ResourceError, match="GPU"):
        Machine(accelerator="gpu")
    assert fit(settings=SHORT, machine=Machine(accelerator="auto")).device == "cpu"


def test_a_gpu_that_is_there_is_used_unasked():
    if not torch.cuda.is_available():
        pytest.skip("there is no GPU")
    done = fit(settings=SHORT)

    assert done.device.startswith("cuda")
    assert next(done.network.parameters()).device.type == "cpu"


@pytest.mark.parametrize("devices", [2, 3])
def test_devices_share_a_batch_without_loss(devices):
    numbers = (torch.arange(11),)
    whole = list(Batches(numbers, size=4, seed=1, epoch=lambda: 2))
    shares = [
        list(Batches(numbers, size=4, seed=1, epoch=lambda: 2,
                     share=Share(of=lambda: devices, number=lambda own=own: own)))
        for own in range(devices)
    ]  # fmt: skip

    for batch, *parts in zip(whole, *shares, strict=True):
        assert sorted(torch.cat([part[0] for part in parts]).tolist()) == sorted(batch[0].tolist())


def test_a_batch_smaller_than_the_devices_goes_to_all():
    dealt = Batches((torch.arange(9),), size=4, seed=1, epoch=lambda: 0,
                    share=Share(of=lambda: 2, number=lambda: 1))  # fmt: skip

    assert [len(batch[0]) for batch in dealt] == [2, 2, 1]


@pytest.mark.slow
def test_two_devices_learn_what_one_does():
    """Two processes that share every batch: the same mean gradient, so the same weights."""
    found = [
        subprocess.run([sys.executable, str(TOGETHER), count], check=True, capture_output=True,
                       text=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
        for count in ("1", "2")
    ]  # fmt: skip
    one, two = (torch.tensor(json.loads(run.stdout)) for run in found)

    torch.testing.assert_close(two, one, rtol=1e-5, atol=1e-6)
    assert found[1].stderr == ""


def test_the_order_of_an_epoch_does_not_depend_on_earlier_ones():
    numbers = (torch.arange(10),)
    now = 0
    dealt = Batches(numbers, size=4, seed=1, epoch=lambda: now)
    first = torch.cat([batch[0] for batch in dealt])
    now = 3
    later = torch.cat([batch[0] for batch in dealt])
    alone = Batches(numbers, size=4, seed=1, epoch=lambda: 3)

    assert torch.equal(later, torch.cat([batch[0] for batch in alone]))
    assert not torch.equal(first, later)
    assert sorted(later.tolist()) == list(range(10))


def test_a_checkpoint_gives_back_what_it_was_given():
    held = {
        "a": {0: (1, 2.5, None), "x": [True, float("inf"), "text"]},
        "t": [torch.tensor(3), torch.arange(4).view(2, 2).T, torch.tensor([True, False])],
        "b": torch.tensor([0.1, float("nan")], dtype=torch.bfloat16),
        "none": {},
    }
    held["again"] = held["b"]
    found = unpacked(packed(held))

    assert found["a"] == held["a"]
    assert list(found) == list(held)
    for one, other in zip(
        (*found["t"], found["b"], found["again"]), (*held["t"], held["b"], held["b"]), strict=True
    ):
        assert one.dtype is other.dtype
        torch.testing.assert_close(one, other, rtol=0, atol=0, equal_nan=True)
