"""The learning curves: what stands in one panel, and which epoch is named as kept."""

from urllib.parse import unquote

from bolus.report.figures_training import best_epoch, learning_curves


class Row:
    def __init__(self, epoch, **losses):
        self.epoch, self.losses, self.cpu_seconds = epoch, losses, 0.1


def rows(scale=1.0, **more):
    falling = [5.0, 2.0, 0.5, 0.6]
    return [
        Row(n, training_loss=scale * (value + 0.1), validation_loss=value, **more)
        for n, value in enumerate(falling)
    ]


def titles(picture):
    """Text is drawn as paths, with what it says in a comment."""
    parts = unquote(picture.uri).split("<!--")[1:]
    return [part.split("-->")[0].strip() for part in parts]


def test_the_first_least_epoch_is_named():
    epochs = [*rows(), Row(4, training_loss=0.4, validation_loss=0.5)]

    assert best_epoch(epochs) == 2
    assert "least in epoch 3 (0.500)" in learning_curves(epochs).alt


def test_losses_that_compare_share_a_panel():
    together = titles(learning_curves(rows()))
    apart = titles(learning_curves(rows(scale=1000.0)))

    assert "loss" in together
    assert {"loss, training", "loss, validation"} <= set(apart)


def test_other_losses_have_panels_of_their_own():
    found = titles(learning_curves(rows(validation_dead_codes=2.0)))

    assert "dead codes, validation" in found


def test_losses_that_are_no_numbers_do_not_stop_the_figure():
    epochs = rows(training_odd=float("nan"))
    epochs[1].losses["training_loss"] = float("inf")

    assert "odd, training" not in titles(learning_curves(epochs))


def test_the_same_epochs_give_the_same_bytes():
    assert learning_curves(rows()) == learning_curves(rows())
