from __future__ import annotations

import pytest
import tensorflow as tf

from tfrec_vis.pretraining.devices import Devices


def test_one_device_reads_the_dataset_itself(tmp_path):
    devices = Devices("one")
    assert devices.is_chief and not devices.in_step
    assert devices.folder(tmp_path) == tmp_path
    dataset = tf.data.Dataset.range(3)
    assert devices.read(lambda context: dataset if context is None else None) is dataset


def test_workers_but_the_first_write_elsewhere(tmp_path):
    devices = Devices("one")
    devices.is_chief = False
    elsewhere = devices.folder(tmp_path)
    assert elsewhere.is_dir() and not list(elsewhere.iterdir())
    assert tmp_path not in (elsewhere, *elsewhere.parents)
    elsewhere.rmdir()


def test_the_strategy_is_made_once():
    assert Devices("mirrored").strategy is Devices("mirrored").strategy
    assert isinstance(Devices("mirrored").strategy, tf.distribute.MirroredStrategy)


def test_the_command_names_the_script_for_workers(tmp_path):
    from tfrec_vis.errors import InputError
    from tfrec_vis.pretraining import PretrainSettings
    from tfrec_vis.workflow.stages import _pretrain_stage

    with pytest.raises(InputError, match="pipelines/pretrain_workers.py in each"):
        _pretrain_stage("courier", PretrainSettings(devices="workers"), tmp_path, None, False)
