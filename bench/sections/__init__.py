"""The sections of a run: what is asked, how much of it, and where the figure goes."""
