"""Function calling and structured output for upstreams that have neither: lower the request, lift the answer."""
