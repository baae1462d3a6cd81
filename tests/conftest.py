"""Two logical CPU devices for every session, so that replicas can be tested on any machine; memory given back."""

import ctypes
import gc
import os
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras  # noqa: E402
import pytest  # noqa: E402
import tensorflow as tf  # noqa: E402 - the level must be set before TensorFlow is loaded
from tensorflow.python.framework import ops  # noqa: E402

tf.config.set_logical_device_configuration(
    tf.config.list_physical_devices("CPU")[0], [tf.config.LogicalDeviceConfiguration()] * 2
)


def pytest_collection_finish():
    """What is imported stays: the collector need not look at it again and again."""
    gc.collect()
    gc.freeze()


def pytest_sessionfinish():
    gc.unfreeze()


@pytest.fixture(scope="module", autouse=True)
def no_graphs_of_earlier_modules():
    """A worker keeps no more than one module's models and traced graphs in memory.

    A graph with a custom gradient in it is otherwise kept for good: TensorFlow registers the gradient in a global
    table, and the gradient holds the tensors of its graph.
    """
    yield
    keras.backend.clear_session()
    registered = ops._gradient_registry._registry
    for name in [name for name in registered if name.startswith("CustomGradient-")]:
        del registered[name]
    gc.collect()
    if sys.platform == "linux":
        ctypes.CDLL(None).malloc_trim(0)
