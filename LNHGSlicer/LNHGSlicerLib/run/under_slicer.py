"""The command line `lnhg` as a process beside Slicer: `python -m LNHGSlicerLib.run.under_slicer PID ...` ends with
Slicer.

Slicer ends its runs itself; this is for a Slicer that was killed or has crashed.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress

_LOOK_S = 1.0


def main() -> int:
    """Run `lnhg` with all words but the first, the process ID of Slicer."""
    slicer_id, words = int(sys.argv[1]), sys.argv[2:]
    end_with(slicer_id)
    from lnhg.cli import main as lnhg

    return lnhg(words)


def end_with(process_id: int) -> None:
    """When a process has ended, so does this one, with all that it started."""
    threading.Thread(target=_end_with, args=(process_id,), daemon=True).start()


def _end_with(process_id: int) -> None:
    """Wait until a process has ended; then end this one and all that it started."""
    wait_for_end(process_id)
    if os.name == "nt":
        subprocess.run(["taskkill", "/F", "/T", "/PID", str(os.getpid())], capture_output=True, check=False)
    else:
        os.killpg(os.getpgid(0), signal.SIGKILL)


def wait_for_end(process_id: int) -> None:
    """Return when there is no such process, or no more."""
    if os.name == "nt":
        import ctypes

        kernel = ctypes.WinDLL("kernel32")  # type: ignore[attr-defined,unused-ignore]
        synchronize, forever = 0x00100000, 0xFFFFFFFF
        handle = kernel.OpenProcess(synchronize, False, process_id)
        if handle:
            kernel.WaitForSingleObject(handle, forever)
        return
    with suppress(ProcessLookupError, PermissionError):  # somebody else's process has its number by now
        while True:
            os.kill(process_id, 0)
            time.sleep(_LOOK_S)


if __name__ == "__main__":
    sys.exit(main())
