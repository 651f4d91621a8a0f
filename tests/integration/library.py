"""The libmicrohttpd that is loaded, and one that it can be made to be: tests/library says how."""

import ctypes
import pathlib

from harness import BINARY

SCARCE = pathlib.Path(BINARY).parent / "tests/library/scarce.so"
MOVED = pathlib.Path(BINARY).parent / "tests/library/moved.so"


def refuses_by_itself():
    """Later ones do, before we are shown the head."""
    library = ctypes.CDLL("libmicrohttpd.so.12")
    library.MHD_get_version.restype = ctypes.c_char_p
    return not library.MHD_get_version().startswith(b"0.9.75")
