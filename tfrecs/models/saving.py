"""Saves in `.keras` files, and restores, how a model was compiled, its random states and names that the data gave."""

import json
import os
from typing import Any

import keras

from tfrecs.models import MODELS
from tfrecs.models.mixin import Mixin

SEED = "seed_"  # how a file names the state of a seed generator
NAMES_FILE, NAMES = "names.json", ("kind_names", "part_names")


def load_model(path: str | os.PathLike[str], compile: bool = True) -> keras.Model:
    """The model in a `.keras` file, with its weights, its tables, its optimizer and its random states.

    As `keras.saving.load_model`, which finds only the classes that were imported before; this imports those of tfrecs.
    A subclass of your own has to be imported and registered first, as Keras requires.

    Args:
        path: str or path, what `model.save` or `keras.callbacks.ModelCheckpoint` wrote.
        compile: bool, compile the model as it was when it was saved.

    Returns:
        the model.

    Example:
        >>> import tempfile, tfrecs
        >>> path = os.path.join(tempfile.mkdtemp(), "model.keras")
        >>> tfrecs.models.AttRec(4, 9, embedding_dim=8).save(path)
        >>> tfrecs.models.load_model(path).num_items
        9
    """
    import tfrecs.optimizers  # noqa: F401 - for what it registers

    for name in MODELS:
        MODELS[name]
    return keras.saving.load_model(path, compile=compile)


def seed_states(model: keras.Model) -> list[keras.Variable]:
    """The variables of a model's random states, which Keras's files and TensorFlow's checkpoints leave out.

    Args:
        model: a built model.

    Returns:
        list of `keras.Variable`, in the order of the layers.
    """
    return [variable for variable in model.non_trainable_variables if variable.path.endswith("seed_generator_state")]


class Saved(Mixin):
    """Keras's hooks by which a `SequentialRecommender` is saved and loaded whole."""

    def get_compile_config(self) -> dict[str, Any] | None:
        """The arguments of `compile`, for a file."""
        config = super().get_compile_config()
        return config | {"auto_scale_loss": self.auto_scale_loss} if config else config

    def compile_from_config(self, config: dict[str, Any]) -> None:
        """Compiles as before saving, and makes the optimizer's variables, whose values the file has."""
        self.compile(**keras.saving.deserialize_keras_object(config))
        self.optimizer.build(self.trainable_variables)

    def save_own_variables(self, store: Any) -> None:
        """The variables that belong to no layer, and the random states."""
        super().save_own_variables(store)
        for number, state in enumerate(seed_states(self)):
            store[f"{SEED}{number}"] = keras.ops.convert_to_numpy(state)

    def load_own_variables(self, store: Any) -> None:
        """What `save_own_variables` stored; a file of an earlier version has no random states."""
        stored = {name: store[name] for name in store.keys()}
        super().load_own_variables({name: value for name, value in stored.items() if not name.startswith(SEED)})
        for number, state in enumerate(seed_states(self)):
            if f"{SEED}{number}" in stored:
                state.assign(stored[f"{SEED}{number}"])

    def save_assets(self, folder: str) -> None:
        """The names that `adapt` took from the data."""
        names = {name: list(getattr(self, name)) for name in NAMES if getattr(self, name)}
        if names:
            with open(os.path.join(folder, NAMES_FILE), "w", encoding="utf-8") as file:
                json.dump(names, file)

    def load_assets(self, folder: str | None) -> None:
        """What `save_assets` stored."""
        path = os.path.join(folder or "", NAMES_FILE)
        if folder and os.path.exists(path):
            with open(path, encoding="utf-8") as file:
                names = json.load(file)
            self.kind_names, self.part_names = (tuple(names.get(name, ())) for name in NAMES)
