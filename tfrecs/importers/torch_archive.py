"""The archive that `torch.save` writes, read strictly: every byte of the file belongs to one member or to the index."""

import os
import struct
import zlib
from typing import BinaryIO

from tfrecs import files

END = struct.Struct("<4s4H2LH")
END_64 = struct.Struct("<4sQ2H2L4Q")
LOCATOR_64 = struct.Struct("<4sLQL")
ENTRY = struct.Struct("<4s6H3L5H2L")
HEADER = struct.Struct("<4s5H3L2H")
DESCRIPTOR, DESCRIPTOR_64 = struct.Struct("<4s3L"), struct.Struct("<4sL2Q")
HAS_DESCRIPTOR = 8
ENCRYPTED = 1
# A size or an offset that does not fit 32 bits.
ELSEWHERE = 0xFFFFFFFF


class BadArchive(ValueError):
    """An archive that `torch.save` did not write, or that has been damaged."""


class Archive:
    """A file of `torch.save`.

    Only the plain form is read: members that are stored and not compressed, one after the other from the first byte,
    then one index, then one end record that closes the file. Nothing can hide between or behind them, no two readers
    can disagree, and what is read is never larger than the file.

    Args:
        path: str.

    Raises:
        tfrecs.errors.InputError: the file cannot be opened, or is a pipe or a device.
        BadArchive: it is anything but such an archive.
    """

    def __init__(self, path: str) -> None:
        with files.open_regular(path) as file:
            size = os.fstat(file.fileno()).st_size
            start, end, count = _read_end(file, size)
            position = 0
            self._members: dict[str, tuple[int, int, int]] = {}
            for name, entry in _read_index(file, start, end, count):
                begin, position = _locate(file, name, entry, position)
                if name in self._members:
                    raise BadArchive(f"2 members are called {name!r}")
                self._members[name] = begin, entry[1], entry[2]
        if position != start:
            raise BadArchive(f"{start - position} bytes before the index belong to no member")
        self._path = path

    @property
    def names(self) -> list[str]:
        """The members' names, in the file's order."""
        return list(self._members)

    def read(self, name: str) -> bytes:
        """The content of a member.

        Raises:
            BadArchive: there is none of that name, or it does not have the checksum of the index.
        """
        if name not in self._members:
            raise BadArchive(f"no member {name!r}")
        begin, checksum, size = self._members[name]
        with files.open_regular(self._path) as file:
            content = _read(file, begin, size)
        if zlib.crc32(content) != checksum:
            raise BadArchive(f"{name}: damaged, its checksum differs")
        return content


def _read(file: BinaryIO, begin: int, size: int) -> bytes:
    file.seek(begin)
    content = file.read(size)
    if len(content) != size:
        raise BadArchive("truncated")
    return content


def _read_end(file: BinaryIO, size: int) -> tuple[int, int, int]:
    """Where the index begins and ends, and how many members it has."""
    if size < END.size:
        raise BadArchive("no archive: too short")
    end = size - END.size
    mark, disk, first_disk, here, count, length, start, comment = END.unpack(_read(file, end, END.size))
    if mark != b"PK\5\6":
        raise BadArchive("no archive, or something follows its end record")
    if disk or first_disk or here != count or comment:
        raise BadArchive("its end record is not that of one plain archive")
    if end >= LOCATOR_64.size + END_64.size:
        locator = LOCATOR_64.unpack(_read(file, end - LOCATOR_64.size, LOCATOR_64.size))
        if locator[0] == b"PK\6\7":
            end -= LOCATOR_64.size + END_64.size
            record = END_64.unpack(_read(file, end, END_64.size))
            expected = (b"PK\6\6", END_64.size - 12, *record[2:4], 0, 0, count, count, length, start)
            if locator != (b"PK\6\7", 0, end, 1) or record != expected:
                raise BadArchive("its two end records differ")
    if start + length != end:
        raise BadArchive("its index does not end where the end record begins")
    return start, end, count


def _read_index(file: BinaryIO, start: int, end: int, count: int) -> list[tuple[str, tuple[int, int, int]]]:
    """`(name, (offset, checksum, size))` of each member, by offset."""
    index, entries = start, []
    for _ in range(count):
        values = ENTRY.unpack(_read(file, index, ENTRY.size))
        mark, flags, method, checksum, packed, length = values[0], values[3], values[4], *values[7:10]
        name_size, extra, comment, offset = *values[10:13], values[16]
        if mark != b"PK\1\2" or comment:
            raise BadArchive("its index is damaged")
        try:
            name = _read(file, index + ENTRY.size, name_size).decode("utf-8")
        except UnicodeDecodeError:
            raise BadArchive("a member's name is not UTF-8") from None
        if flags & ENCRYPTED or method or packed != length:
            raise BadArchive(f"{name!r} is compressed or encrypted, which torch.save never does")
        if ELSEWHERE in (length, offset):
            raise BadArchive(f"{name!r} has 4 GiB or more")
        entries.append((name, (offset, checksum, length)))
        index += ENTRY.size + name_size + extra
    if index != end:
        raise BadArchive("its index is damaged")
    return sorted(entries, key=lambda entry: entry[1][0])


def _locate(file: BinaryIO, name: str, entry: tuple[int, int, int], position: int) -> tuple[int, int]:
    """Where the content of a member begins, and where the member ends; it must begin at `position`."""
    offset, checksum, size = entry
    if offset != position:
        raise BadArchive(f"{name!r} overlaps another member, or bytes before it belong to none")
    values = HEADER.unpack(_read(file, offset, HEADER.size))
    mark, flags, method, stored, name_size, extra = values[0], values[2], values[3], values[6:9], *values[9:11]
    same_name = _read(file, offset + HEADER.size, name_size) == name.encode("utf-8")
    described = flags & HAS_DESCRIPTOR and stored in ((0, 0, 0), (checksum, size, size))
    if mark != b"PK\3\4" or method or not same_name or not (described or stored == (checksum, size, size)):
        raise BadArchive(f"{name!r}: the index and the member's own header differ")
    begin = offset + HEADER.size + name_size + extra
    end = begin + size
    if not flags & HAS_DESCRIPTOR:
        return begin, end
    for form in (DESCRIPTOR, DESCRIPTOR_64):
        if form.unpack(_read(file, end, form.size)) == (b"PK\7\10", checksum, size, size):
            return begin, end + form.size
    raise BadArchive(f"{name!r}: the index and the member's descriptor differ")
