"""The base of what is mixed into `keras.Model`: nothing at run time, `keras.Model` itself for a type checker."""

from typing import TYPE_CHECKING

import keras

if TYPE_CHECKING:
    Mixin = keras.Model
else:
    Mixin = object
