#!/bin/sh
# The AWS Lambda entry that streams. The AWS Lambda Web Adapter runs this in place of AWS's Python runtime, waits
# until the port answers, and passes on one request after the other.
cd "$(dirname "$0")/.." || exit
exec python3 -m uvicorn api.index:app --host 127.0.0.1 --port "$AWS_LWA_PORT" --lifespan off \
    --log-level warning --no-access-log --no-server-header --no-use-colors
