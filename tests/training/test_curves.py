"""`curves.png` shows the protocol's own metrics and every loss; its epochs may lack validation."""

import matplotlib.axes
import pytest

from tfrecs.runs import history as reports


@pytest.fixture
def drawn(tmp_path, monkeypatch):
    """Draws a history; gives label to the points of its curve."""

    def draw(history, protocol):
        found, plot = {}, matplotlib.axes.Axes.plot
        monkeypatch.setattr(
            matplotlib.axes.Axes,
            "plot",
            lambda axes, x, y, label: (
                found.update({label: list(zip(x, y, strict=True))}),
                plot(axes, x, y, label=label),
            ),
        )
        reports.plot_history(str(tmp_path), history, "title", protocol, {})
        assert (tmp_path / "curves.png").stat().st_size > 1000
        return found

    return draw


def test_pairs_show_auc_by_kind_and_both_losses(drawn):
    row = {"loss": 0.5, "test_auc": 0.7, "test_gauc": 0.6, "test_auc_query": 0.8, "test_loss": 0.4}
    found = drawn([{"epoch": 1, **row}, {"epoch": 2, **row, "test_loss": 0.3}], "pair_auc")
    assert found == {
        "training loss": [(1, 0.5), (2, 0.5)],
        "test loss": [(1, 0.4), (2, 0.3)],
        "test_auc": [(1, 0.7), (2, 0.7)],
        "test_auc_query": [(1, 0.8), (2, 0.8)],
    }


def test_epochs_without_validation_are_left_out_of_its_curves(drawn):
    history = [
        {"epoch": 1, "loss": 3.0, "item_loss": 2.0},
        {"epoch": 2, "loss": 2.0, "item_loss": 1.0, "valid_mrr": 0.5},
    ]
    found = drawn(history, "full_ranking")
    assert found == {"training loss": [(1, 3.0), (2, 2.0)], "item loss": [(1, 2.0), (2, 1.0)], "valid_mrr": [(2, 0.5)]}
