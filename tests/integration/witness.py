"""What the kernel says of a running server."""

import os
import re


def memory(server, line="VmRSS"):
    """Bytes, by a line of /proc/<pid>/status."""
    with open(f"/proc/{server.pid}/status") as status:
        return next(int(row.split()[1]) * 1024 for row in status if row.startswith(line + ":"))


def is_sanitized(server):
    """Sanitizers keep what was freed: memory then says nothing."""
    with open(f"/proc/{server.pid}/maps") as maps:
        return re.search("lib[at]san", maps.read()) is not None


def processor_seconds(server):
    with open(f"/proc/{server.pid}/stat") as stat:
        fields = stat.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Growth:
    """with Growth(server, limit, line): at its end the memory has grown by less than that. `limit`
    may be a function, asked at the end."""

    def __init__(self, server, limit, line="VmRSS"):
        self.server, self.limit, self.line = server, limit, line

    def __enter__(self):
        self.before = memory(self.server, self.line)

    def __exit__(self, kind, value, traceback):
        if kind or is_sanitized(self.server):
            return
        limit = self.limit() if callable(self.limit) else self.limit
        grown = memory(self.server, self.line) - self.before
        assert grown < limit, f"{self.line} grew by {grown}, the limit is {limit}"
