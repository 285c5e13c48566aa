"""ChatGPT's accounts, for every upstream that they open: their tokens, their calls, and whose turn it is to answer."""
