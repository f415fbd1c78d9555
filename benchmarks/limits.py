"""What the operating system allows and counts, of this and other processes (Linux)."""

import re
import resource
from pathlib import Path


def raise_open_files() -> None:
    """Let this process open as many sockets as its machine allows."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def cpu_s(pid: int) -> float:
    """How long a process has been on a core, all threads together (seconds)."""
    threads = Path(f"/proc/{pid}/task").glob("*/schedstat")
    return sum(int(thread.read_text().split()[0]) for thread in threads) / 1e9


def memory_kib(pid: int) -> int:
    """What a process keeps in memory, its share of shared pages included (PSS, KiB)."""
    found = re.search(r"^Pss:\s+(\d+) kB", Path(f"/proc/{pid}/smaps_rollup").read_text(), re.M)
    return int(found[1]) if found else 0
