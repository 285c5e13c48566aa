"""The translation core: sans-IO formats, one waist between them, and the few modules that do I/O."""

__version__ = "0.1.0"
