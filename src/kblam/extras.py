"""How to install what a feature needs beyond the core: from the same place as kblam itself."""

from __future__ import annotations

import json
from importlib.metadata import PackageNotFoundError, distribution
from urllib.parse import urlsplit
from urllib.request import url2pathname

__all__ = ["pip_install"]


def pip_install(extra: str) -> str:
    """The command that adds an extra, such as `pip install -e '/home/me/kblam[serve]'` for a checkout installed with -e."""
    try:
        record = json.loads(distribution("kblam").read_text("direct_url.json") or "{}")
    except (PackageNotFoundError, ValueError):
        record = {}
    if "dir_info" not in record:
        return f"pip install 'kblam[{extra}]'"
    folder = url2pathname(urlsplit(record["url"]).path)
    editable = "-e " if record["dir_info"].get("editable") else ""
    return f"pip install {editable}'{folder}[{extra}]'"
