"""Two logical CPU devices for every session, so that replicas can be tested on any machine."""

import gc
import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras  # noqa: E402
import pytest  # noqa: E402
import tensorflow as tf  # noqa: E402 - the level must be set before TensorFlow is loaded

tf.config.set_logical_device_configuration(
    tf.config.list_physical_devices("CPU")[0], [tf.config.LogicalDeviceConfiguration()] * 2
)


@pytest.fixture(scope="module", autouse=True)
def no_graphs_of_earlier_modules():
    """A worker keeps no more than one module's models and traced graphs in memory."""
    yield
    keras.backend.clear_session()
    gc.collect()
