"""Bounds on the memory that reading a folder's arrays takes: a small file can claim or unpack to any size."""

import math
import zipfile

import h5py
import numpy as np

LARGEST_NPZ = 256 * 2**20
# Keras's own entries of a weights file, such as the states of seed generators.
_SLACK = 2**20


def read_npz(path, largest=LARGEST_NPZ):
    """Returns the arrays of an `.npz` file by name.

    Args:
        path: The file.
        largest: Largest number of bytes of all arrays together.

    Raises:
        ValueError: If the arrays are larger, or the file can't be read.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
            total = sum(member.file_size for member in members)
            if total > largest:
                raise ValueError(f"its arrays must have at most {largest} bytes, got {total}")
            for member in members:
                with archive.open(member) as file:
                    _check_header(file, member)
        with np.load(path, allow_pickle=False) as stored:
            return {name: stored[name] for name in stored.files}
    except (OSError, ValueError, KeyError, EOFError, NotImplementedError, zipfile.BadZipFile) as error:
        raise ValueError(f"{path} can't be read: {error}") from error


def _check_header(file, member):
    """Raises if an array claims more bytes than its member of the archive has."""
    version = np.lib.format.read_magic(file)
    readers = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
    if version not in readers:
        raise ValueError(f"{member.filename} must be an array of format 1 or 2, got {version}")
    shape, _, dtype = readers[version](file)
    claimed = math.prod(shape) * dtype.itemsize
    if claimed > member.file_size:
        raise ValueError(f"{member.filename} must have the {claimed} bytes of its shape {shape}")


def check_weights(path, model):
    """Checks that an HDF5 file holds no more than a model's weights, in the file itself.

    Args:
        path: The file.
        model: The built `keras.Model`.

    Raises:
        ValueError: If the arrays are larger than the model's, refer to other files, or can't be read.
    """
    # Eight bytes are the most that a number of any type takes.
    largest = 8 * sum(math.prod(v.shape) for v in model.variables) + _SLACK
    try:
        with h5py.File(path) as file:
            total = sum(dataset.size * dataset.dtype.itemsize for dataset in _datasets(file))
    except (OSError, RuntimeError, KeyError) as error:
        raise ValueError(f"{path} can't be read: {error}") from error
    if total > largest:
        raise ValueError(f"{path} must have at most the {largest} bytes of the model's weights, got {total}")


def _datasets(group):
    """Yields the datasets of a group at any depth."""
    for name in group:
        if not isinstance(group.get(name, getlink=True), h5py.HardLink):
            raise ValueError(f"{group.file.filename} must have no links, got {group.name}/{name}")
        item = group[name]
        if isinstance(item, h5py.Group):
            yield from _datasets(item)
        elif isinstance(item, h5py.Dataset):
            if item.is_virtual or item.external:
                raise ValueError(f"{group.file.filename} must hold its own data, got {item.name}")
            yield item
