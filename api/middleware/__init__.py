"""The layers of the stack, one file each, outermost first: access, errors, auth, intake, sse."""
