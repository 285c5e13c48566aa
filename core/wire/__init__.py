"""Wire formats, one folder each: what we serve and what we call, organised by format, not by direction."""
