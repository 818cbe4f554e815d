"""The client of an OpenAI-compatible or Azure OpenAI endpoint; its keys come from the environment."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from kblam.errors import EncoderError
from kblam.extras import pip_install

if TYPE_CHECKING:
    import openai

__all__ = ["RETRIES", "is_azure", "open_client"]

RETRIES = 5
TIMEOUT_SECONDS = 60.0
AZURE_API_VERSION = "2024-10-21"
_AZURE_HOSTS = (".openai.azure.com", ".cognitiveservices.azure.com", ".services.ai.azure.com")


def open_client(model: str, endpoint_url: str | None, instead: str) -> openai.OpenAI:
    """Return the client that asks for a model.

    Azure OpenAI is asked when `endpoint_url` is one of its hosts or AZURE_OPENAI_API_KEY is the only key, and, without
    `endpoint_url`, when AZURE_OPENAI_ENDPOINT is set; its version is OPENAI_API_VERSION or 2024-10-21. Else OpenAI or a
    compatible server is: `endpoint_url`, OPENAI_BASE_URL, or OpenAI's own; the key is OPENAI_API_KEY.
    instead: what a user without a key can do, for the message. Raises EncoderError without the package or a key.
    """
    try:
        import openai
    except ImportError as error:
        raise EncoderError(f"{model} needs the openai package: run {pip_install('openai')}") from error
    if is_azure(endpoint_url):
        return openai.AzureOpenAI(
            azure_endpoint=endpoint_url or os.environ["AZURE_OPENAI_ENDPOINT"],
            api_key=_key("AZURE_OPENAI_API_KEY", model, instead),
            api_version=os.environ.get("OPENAI_API_VERSION") or AZURE_API_VERSION,
            max_retries=RETRIES,
            timeout=TIMEOUT_SECONDS,
        )
    return openai.OpenAI(
        base_url=endpoint_url or os.environ.get("OPENAI_BASE_URL") or None,
        api_key=_key("OPENAI_API_KEY", model, instead),
        max_retries=RETRIES,
        timeout=TIMEOUT_SECONDS,
    )


def is_azure(endpoint_url: str | None) -> bool:
    """Return whether an address, or without one the environment, means Azure OpenAI."""
    if endpoint_url is None:
        return bool(os.environ.get("AZURE_OPENAI_ENDPOINT"))
    host = urlsplit(endpoint_url).hostname or ""
    only_key = bool(os.environ.get("AZURE_OPENAI_API_KEY")) and not os.environ.get("OPENAI_API_KEY")
    return host.endswith(_AZURE_HOSTS) or only_key


def _key(variable: str, model: str, instead: str) -> str:
    key = os.environ.get(variable)
    if not key:
        raise EncoderError(f"{model} is asked for at an endpoint, which needs a key: set {variable}, or {instead}")
    return key
