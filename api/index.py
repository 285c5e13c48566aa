"""The entry for Vercel and for any ASGI server: `api.index:app`, configured by the environment."""

from api.app import create_app
from core.settings import Settings

app = create_app(Settings.from_env())
