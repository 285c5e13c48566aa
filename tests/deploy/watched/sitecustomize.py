"""Reports every file that a function's process opens to write outside /tmp and /dev, on standard error (PEP 578).

The package counts as outside: a test may have unpacked it under /tmp. What lies beside this folder does not
count: it is the tests' own, and Python keeps byte code of it.
"""

import os
import sys
from pathlib import Path

WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT
PACKAGE = os.environ["LAMBDA_TASK_ROOT"]
ALLOWED = ("/tmp/", "/dev/", f"{Path(__file__).parents[1]}/")
CHANGES = ("os.mkdir", "os.remove", "os.rename", "os.rmdir", "os.symlink", "os.link", "os.truncate")


def report(event: str, arguments: tuple[object, ...]) -> None:
    if event in CHANGES or (event == "open" and isinstance(arguments[2], int) and arguments[2] & WRITING):
        if isinstance(arguments[0], int):
            return  # a descriptor that is open already, such as a socket's
        path = str(Path(str(arguments[0])).absolute())
        if not path.startswith(ALLOWED) or path.startswith(PACKAGE):
            sys.stderr.write(f"WROTE {event} {path}\n")


sys.addaudithook(report)
