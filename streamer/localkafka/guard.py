"""Runs a program that must not outlive its owner.

The owner starts ``python guard.py PROGRAM ARGUMENTS...`` with a pipe as standard input. The line
``stop`` asks the program to end. So does the end of the pipe, which means that the owner has died.
The line ``kill`` kills the program.
"""

import ctypes
import signal
import subprocess
import sys
import threading

GRACE_S = 15.0
"""How long the program may take to stop."""

_PR_SET_PDEATHSIG = 1


def main(command: list[str]) -> int:
    """Run the command, and return its exit code."""
    program = subprocess.Popen(  # noqa: S603
        command,
        stdin=subprocess.DEVNULL,
        # Safe: this process has no other thread yet.
        preexec_fn=_end_with_parent if sys.platform == "linux" else None,  # noqa: PLW1509
    )
    signal.signal(signal.SIGTERM, lambda *_: program.terminate())

    def obey() -> None:
        if sys.stdin.readline() == "kill\n":
            program.kill()
        program.terminate()
        try:
            program.wait(GRACE_S)
        except subprocess.TimeoutExpired:
            program.kill()

    threading.Thread(target=obey, daemon=True).start()
    return program.wait()


def _end_with_parent() -> None:
    """Ask the system to end the program when the guard is killed, where the system can do so."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
