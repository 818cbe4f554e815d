"""Answers over HTTP: OpenAI's protocol, the knowledge API and the page."""
