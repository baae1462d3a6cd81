"""The pickle within a file of `torch.save`, read without Python's unpickler: nothing that it names is ever called."""

import io
import pickletools
from collections.abc import Callable
from typing import Any

import numpy as np

# Room for a model and the data that was saved with it; every step makes at most one small object.
LARGEST_PICKLE = 256 << 20
MOST_STEPS = 5_000_000
MOST_DIMENSIONS = 16
STORAGES = {
    **{"DoubleStorage": "<f8", "FloatStorage": "<f4", "HalfStorage": "<f2", "LongStorage": "<i8", "IntStorage": "<i4"},
    **{"ShortStorage": "<i2", "CharStorage": "i1", "ByteStorage": "u1", "BoolStorage": "?"},
}
CONSTANTS = {
    **{"NONE": None, "NEWTRUE": True, "NEWFALSE": False},
    **{"EMPTY_LIST": list, "EMPTY_DICT": dict, "EMPTY_TUPLE": tuple, "EMPTY_SET": set},
}
VALUES = (
    *("INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT"),
    *("UNICODE", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8", "STRING", "BINSTRING", "SHORT_BINSTRING"),
    *("BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "BYTEARRAY8"),
)
KEYS = (str, bytes, int, float, type(None))
MARK = object()


class BadPickle(ValueError):
    """A pickle that is damaged, or that does what no file of `torch.save` does."""


class Inert:
    """Stands for an object of a class that is not PyTorch's own: its attributes, no behaviour."""


class Name:
    """Stands for a class or a function that a file names."""

    def __init__(self, module: str, name: str) -> None:
        self.module, self.name = module, name

    @property
    def path(self) -> str:
        """The dotted name."""
        return f"{self.module}.{self.name}"


def read(content: bytes, storage: Callable[[str], bytes]) -> Any:
    """Reads a pickle of tensors within anything.

    Tensors become arrays. Of all functions three are known, by exact name: `collections.OrderedDict`,
    `torch._utils._rebuild_tensor_v2` and `torch._utils._rebuild_parameter`; each is done here, and none can be given
    attributes. Whatever else a file makes becomes an `Inert`.

    Args:
        content: bytes.
        storage: f(key) -> bytes, the content of a tensor's storage.

    Returns:
        what was pickled.

    Raises:
        BadPickle: as above.

    Example:
        >>> import fractions, pickle
        >>> content = read(pickle.dumps({"weights": [0.5], "object": fractions.Fraction(1, 2)}), None)
        >>> content["weights"], type(content["object"]).__name__
        ([0.5], 'Inert')
    """
    if len(content) > LARGEST_PICKLE:
        raise BadPickle(f"its pickle has {len(content)} bytes, more than {LARGEST_PICKLE}")
    machine = _Machine(storage)
    file = io.BytesIO(content)
    try:
        for opcode, argument, _ in pickletools.genops(file):
            machine.spend(1)
            machine.step(opcode.name, argument)
    except BadPickle:
        raise
    except (ValueError, IndexError, KeyError, TypeError, OverflowError) as error:
        raise BadPickle(f"its pickle is damaged: {(str(error).splitlines() or [repr(error)])[0]}") from None
    if file.read(1):
        raise BadPickle("something follows its pickle")
    if len(machine.stack) != 1:
        raise BadPickle("its pickle does not end with one object")
    return machine.stack[0]


class _Machine:
    """The stack and the memo of a pickle."""

    def __init__(self, storage: Callable[[str], bytes]) -> None:
        self.storage = storage
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}
        self.storages: dict[str, bytes] = {}
        self.left = MOST_STEPS

    def spend(self, count: int) -> None:
        """Counts steps, and what a single one copies."""
        self.left -= count
        if self.left < 0:
            raise BadPickle(f"its pickle takes more than {MOST_STEPS} steps")

    def step(self, name: str, argument: Any) -> None:
        """Does one step of the pickle."""
        if name in CONSTANTS:
            value = CONSTANTS[name]
            self.stack.append(value() if isinstance(value, type) else value)
        elif name in VALUES:
            self.stack.append(argument)
        elif name == "MARK":
            self.stack.append(MARK)
        elif name in ("BINPUT", "LONG_BINPUT", "PUT"):
            self.memo[argument] = self.stack[-1]
        elif name == "MEMOIZE":
            self.memo[len(self.memo)] = self.stack[-1]
        elif name in ("BINGET", "LONG_BINGET", "GET"):
            self.stack.append(self.memo[argument])
        elif name not in ("PROTO", "FRAME", "STOP"):
            function = getattr(self, f"_{name.lower()}", None)
            if function is None:
                raise BadPickle(f"its pickle has a step {name}, which torch.save never writes")
            function(argument)

    def _after_mark(self) -> list[Any]:
        begin = len(self.stack) - 1
        while self.stack[begin] is not MARK:
            begin -= 1
            if begin < 0:
                raise BadPickle("its pickle is damaged: no mark")
        values = self.stack[begin + 1 :]
        del self.stack[begin:]
        return values

    def _take(self, count: int) -> list[Any]:
        values = self.stack[len(self.stack) - count :]
        if len(values) < count or any(value is MARK for value in values):
            raise BadPickle("its pickle is damaged: its stack is empty")
        del self.stack[len(self.stack) - count :]
        return values

    def _pop(self, _: object) -> None:
        self._take(1)

    def _pop_mark(self, _: object) -> None:
        self._after_mark()

    def _tuple(self, _: object) -> None:
        self.stack.append(tuple(self._after_mark()))

    def _list(self, _: object) -> None:
        self.stack.append(self._after_mark())

    def _tuple1(self, _: object) -> None:
        self.stack.append(tuple(self._take(1)))

    def _tuple2(self, _: object) -> None:
        self.stack.append(tuple(self._take(2)))

    def _tuple3(self, _: object) -> None:
        self.stack.append(tuple(self._take(3)))

    def _append(self, _: object) -> None:
        self._extend(self._take(1))

    def _appends(self, _: object) -> None:
        self._extend(self._after_mark())

    def _extend(self, values: list[Any]) -> None:
        if isinstance(self.stack[-1], list):
            self.stack[-1].extend(values)
        elif not isinstance(self.stack[-1], Inert):
            raise BadPickle("its pickle is damaged: values go into what is no list")

    def _additems(self, _: object) -> None:
        values = self._after_mark()
        if not isinstance(self.stack[-1], set):
            raise BadPickle("its pickle is damaged: values go into what is no set")
        self.stack[-1].update(value for value in values if isinstance(value, KEYS))

    def _frozenset(self, _: object) -> None:
        self.stack.append({value for value in self._after_mark() if isinstance(value, KEYS)})

    def _setitem(self, _: object) -> None:
        self._set(self._take(2))

    def _setitems(self, _: object) -> None:
        self._set(self._after_mark())

    def _set(self, values: list[Any]) -> None:
        if isinstance(self.stack[-1], dict):
            pairs = zip(values[::2], values[1::2], strict=True)
            self.stack[-1].update((key, value) for key, value in pairs if isinstance(key, KEYS))
        elif not isinstance(self.stack[-1], Inert):
            raise BadPickle("its pickle is damaged: values go into what is no dictionary")

    def _dict(self, _: object) -> None:
        values = self._after_mark()
        self.stack.append({})
        self._set(values)

    def _global(self, argument: str) -> None:
        self.stack.append(Name(*argument.split(" ", 1)))

    def _stack_global(self, _: object) -> None:
        module, name = self._take(2)
        if not isinstance(module, str) or not isinstance(name, str):
            raise BadPickle("its pickle is damaged: a name is no text")
        self.stack.append(Name(module, name))

    def _reduce(self, _: object) -> None:
        function, arguments = self._take(2)
        known = FUNCTIONS.get((function.module, function.name)) if isinstance(function, Name) else None
        if known is dict and arguments:
            raise BadPickle("its pickle gives OrderedDict arguments, which torch.save never does")
        self.stack.append(known(*arguments) if known else Inert())

    def _newobj(self, _: object) -> None:
        self._take(2)
        self.stack.append(Inert())

    def _newobj_ex(self, _: object) -> None:
        self._take(3)
        self.stack.append(Inert())

    def _build(self, _: object) -> None:
        (state,) = self._take(1)
        target = self.stack[-1]
        if isinstance(target, Inert):
            for part in state[:2] if isinstance(state, tuple) else (state,):
                if isinstance(part, dict):
                    self.spend(len(part))
                    vars(target).update((key, value) for key, value in part.items() if isinstance(key, str))
        elif not isinstance(target, dict):  # a `state_dict` has attributes of no use here
            raise BadPickle(f"its pickle gives attributes to {getattr(target, 'path', type(target).__name__)}")

    def _binpersid(self, _: object) -> None:
        (reference,) = self._take(1)
        if not isinstance(reference, tuple) or len(reference) != 5 or reference[0] != "storage":
            raise BadPickle("its pickle refers to something other than a tensor's storage")
        _, kind, key, _, count = reference
        known = STORAGES.get(kind.name) if isinstance(kind, Name) and kind.module == "torch" else None
        if known is None:
            raise BadPickle(f"a tensor of type {getattr(kind, 'path', type(kind).__name__)}")
        if not isinstance(key, str) or not isinstance(count, int):
            raise BadPickle("its pickle is damaged: a storage without a name or a size")
        if key not in self.storages:
            self.storages[key] = self.storage(key)
        values = np.frombuffer(self.storages[key], known)
        if len(values) != count:
            raise BadPickle(f"storage {key}: {len(values)} values, but {count} are announced")
        self.stack.append(values)


def _tensor(storage: Any, offset: int, size: tuple[int, ...], stride: tuple[int, ...], *_: object) -> np.ndarray:
    """`torch._utils._rebuild_tensor_v2`: an array over a storage, within its bounds."""
    if not isinstance(storage, np.ndarray) or len(size) != len(stride) or len(size) > MOST_DIMENSIONS:
        raise BadPickle("its pickle is damaged: a tensor without a storage, or without a shape")
    numbers = (offset, *size, *stride)
    if not all(isinstance(number, int) and 0 <= number <= len(storage) for number in numbers):
        raise BadPickle("a tensor reaches beyond its storage")
    last = offset + sum((length - 1) * step for length, step in zip(size, stride, strict=True))
    elements = 1
    for length in size:
        elements *= length
    if elements > len(storage) or elements and last >= len(storage):
        raise BadPickle("a tensor reaches beyond its storage")
    if not elements:
        return np.zeros(size, storage.dtype)
    strides = [step * storage.itemsize for step in stride]
    return np.lib.stride_tricks.as_strided(storage[offset:], size, strides, writeable=False)


def _parameter(tensor: Any, *_: object) -> Any:
    """`torch._utils._rebuild_parameter`."""
    return tensor


FUNCTIONS: dict[tuple[str, str], Callable[..., Any]] = {
    ("collections", "OrderedDict"): dict,
    ("torch._utils", "_rebuild_parameter"): _parameter,
    ("torch._utils", "_rebuild_tensor_v2"): _tensor,
}
