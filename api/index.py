"""The entry for Vercel and for any ASGI server: `api.index:app`, configured by the environment.

Imports make no garbage, but the collector looks for some all the same: a tenth of a cold start. So it rests meanwhile,
and never looks at what they made.
"""

import gc

gc.disable()

from api.app import create_app  # noqa: E402
from core.settings import Settings  # noqa: E402

app = create_app(Settings.from_env())

gc.freeze()
gc.enable()
