"""The libmicrohttpd that is loaded, and one that it can be made to be: tests/library says how."""

import ctypes
import pathlib

from harness import BINARY

SCARCE = pathlib.Path(BINARY).parent / "tests/library/scarce.so"
MOVED = pathlib.Path(BINARY).parent / "tests/library/moved.so"


def version():
    library = ctypes.CDLL("libmicrohttpd.so.12")
    library.MHD_get_version.restype = ctypes.c_char_p
    return library.MHD_get_version().decode()


def refuses_by_itself():
    """Later ones do, before we are shown the head."""
    return not version().startswith("0.9.75")


def takes_chunk_extensions():
    """1.0.0 and 1.0.1 leave the end of such a line to the chunk, find the chunk's end wrong, and refuse."""
    return version() not in ("1.0.0", "1.0.1")
