from __future__ import annotations

import numpy as np
import pytest
import tf_keras as keras

from tfrec_vis.errors import InputError
from tfrec_vis.pretraining import PretrainSettings
from tfrec_vis.pretraining.early_stopping import EarlyStopping
from tfrec_vis.pretraining.record import Record


def run(values, patience):
    """Epochs with these values; the weight of epoch e is e. Gives model, record and callback."""
    model = keras.Sequential([keras.Input([1]), keras.layers.Dense(1, use_bias=False)])
    model.stop_training = False
    record = Record(PretrainSettings(), {})
    stopping = EarlyStopping(model, record, patience, len(values))
    stopping.set_model(model)
    for epoch, value in enumerate(values):
        model.set_weights([np.full([1, 1], float(epoch))])
        stopping.on_epoch_end(epoch, {"val_mrr": value})
        if model.stop_training:
            break
    return model, record, stopping, epoch


@pytest.mark.parametrize(
    ("values", "patience", "last", "best"),
    [
        ([0.1, 0.2, 0.3], 1, 2, 2),
        ([0.1, 0.3, 0.2, 0.4], 1, 2, 1),
        ([0.1, 0.3, 0.2, 0.4, 0.1, 0.1, 0.5], 2, 5, 3),
        ([0.2, 0.2, 0.2], 2, 2, 0),  # as good is not better
        ([0.5, float("nan"), float("nan")], 2, 2, 0),
    ],
)
def test_stops_and_goes_back(values, patience, last, best, capsys):
    model, record, stopping, epoch = run(values, patience)
    assert epoch == last
    assert record.values["best"] == {"epoch": best, "value": values[best]}
    assert record.values["stopped"] == model.stop_training == (last - best >= patience)
    stopping.restore_best()
    assert model.get_weights()[0].item() == best
    told = capsys.readouterr().out
    assert f"epoch {best + 1}, the best: val_mrr" in told
    waited = f"{patience} epoch{'s' * (patience > 1)}"
    line = f"stopped after epoch {last + 1} of {len(values)}: no better val_mrr for {waited}\n"
    assert (line in told) == ("stopped" in told) == (last + 1 < len(values))


def test_needs_a_holdout():
    with pytest.raises(InputError, match="pretrain.early_stopping: needs pages.*pretrain.holdout"):
        PretrainSettings(early_stopping=2)
    assert PretrainSettings(early_stopping=2, holdout=0.05).holdout == 0.05
