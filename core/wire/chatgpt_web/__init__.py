"""ChatGPT Web's private conversation format: we are its client only.

`requests` builds turns, `stream` decodes both stream encodings (`delta`: blocks to messages, `answer`: messages to
events), `errors` reads refusals. Source of every fact: the chatgpt-web reference, by section; the format is
undocumented and changes without notice.
"""
