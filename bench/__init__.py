"""Measures what the gateway costs, with public tools, on this machine only. See bench/README.md."""
