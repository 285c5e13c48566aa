"""Simulated vendors besides ChatGPT: OpenAI, Anthropic and Gemini, each in its own wire format.

What they say is made by the same rules and scripted by the same directives; here each only has its own words. A key is
whatever begins with `loopback`.
"""
