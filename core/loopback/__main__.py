"""`python -m core.loopback --port N`: the loopback upstream on a real port of this machine only."""

import argparse
from pathlib import Path

from core.loopback import create_loopback


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m core.loopback", description=__doc__)
    parser.add_argument("--port", type=int, default=3041, help="port on 127.0.0.1 (default: %(default)s)")
    parser.add_argument("--captures", type=Path, help="folder of the streams that a directive may replay")
    arguments = parser.parse_args()
    # uvicorn is an optional extra: only this entry needs it.
    import uvicorn

    app = create_loopback(arguments.captures)
    uvicorn.run(app, host="127.0.0.1", port=arguments.port, log_level="warning", access_log=False)


if __name__ == "__main__":
    main()
