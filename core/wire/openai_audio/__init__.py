"""OpenAI's audio routes: `speech` reads what is to be said and writes its events, `transcripts` what was heard."""
