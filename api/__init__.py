"""The HTTP edge: routes, layers and handlers around the translation core."""
