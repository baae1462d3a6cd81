"""Files as `torch.save` writes them, by hand: PyTorch is not needed, and damaged ones are made the same way."""

import io
import pickle
import sys
import types
import zipfile

import numpy as np

KINDS = {"float32": "FloatStorage", "int64": "LongStorage", "int32": "IntStorage", "float64": "DoubleStorage"}


def _rebuild_tensor_v2(storage, offset, size, stride, requires_grad, hooks):
    """Pickled by its name, as PyTorch's."""


def modules():
    """`torch` and `torch._utils`, as far as a pickle names them."""
    torch, inner = types.ModuleType("torch"), types.ModuleType("torch._utils")
    for name in KINDS.values():
        setattr(torch, name, type(name, (), {"__module__": "torch"}))
    function = types.FunctionType(_rebuild_tensor_v2.__code__, {}, "_rebuild_tensor_v2")
    function.__module__ = "torch._utils"
    inner._rebuild_tensor_v2 = function
    torch._utils = inner
    return {"torch": torch, "torch._utils": inner}


class _Storage:
    def __init__(self, array):
        self.array = array


class _Pickler(pickle.Pickler):
    """Arrays become tensors; their content is kept in `storages`."""

    def __init__(self, file, torch):
        super().__init__(file, protocol=2)
        self.torch, self.storages = torch, []

    def persistent_id(self, value):
        if not isinstance(value, _Storage):
            return None
        self.storages.append(value.array.tobytes("A"))
        kind = getattr(self.torch, KINDS[value.array.dtype.name])
        return "storage", kind, str(len(self.storages) - 1), "cpu", value.array.size

    def reducer_override(self, value):
        if not isinstance(value, np.ndarray):
            return NotImplemented
        strides = tuple(stride // value.itemsize for stride in value.strides)
        arguments = (_Storage(value), 0, value.shape, strides, False, {})
        return self.torch._utils._rebuild_tensor_v2, arguments


def parts(content):
    """The members of the file, name to bytes: `content` with arrays for tensors."""
    named = modules()
    file, kept = io.BytesIO(), {name: sys.modules.get(name) for name in named}
    sys.modules.update(named)
    try:
        pickler = _Pickler(file, named["torch"])
        pickler.dump(content)
    finally:
        for name, module in kept.items():
            if module is None:
                del sys.modules[name]
            else:
                sys.modules[name] = module
    return archived(file.getvalue(), pickler.storages)


def archived(pickled, storages=()):
    """The members around a pickle that was made by hand."""
    return {
        "archive/data.pkl": pickled,
        "archive/byteorder": b"little",
        **{f"archive/data/{i}": content for i, content in enumerate(storages)},
        "archive/version": b"3\n",
    }


def write(path, members, compression=zipfile.ZIP_STORED):
    """Writes members, a dict or pairs of name and bytes, as an archive."""
    with zipfile.ZipFile(path, "w", compression) as file:
        for name, content in members.items() if isinstance(members, dict) else members:
            file.writestr(name, content)


def save(content, path):
    """Writes `content`, with arrays for tensors, as `torch.save` does."""
    write(path, parts(content))
