"""How an extra is installed."""

from __future__ import annotations

import json
from importlib import metadata
from pathlib import Path

import pytest

from kblam import extras
from kblam.extras import pip_install


class Installed:
    def __init__(self, record: object) -> None:
        self.record = record

    def read_text(self, name: str) -> str | None:
        assert name == "direct_url.json"
        return None if self.record is None else json.dumps(self.record)


@pytest.mark.parametrize(
    ("record", "command"),
    [
        (None, "pip install 'kblam[serve]'"),
        ({"url": "https://example.org/kblam.whl", "archive_info": {}}, "pip install 'kblam[serve]'"),
        (
            {"url": Path("/my code/kblam").as_uri(), "dir_info": {"editable": True}},
            "pip install -e '/my code/kblam[serve]'",
        ),
        ({"url": Path("/my code/kblam").as_uri(), "dir_info": {}}, "pip install '/my code/kblam[serve]'"),
    ],
)
@pytest.mark.skipif("os.name == 'nt'", reason="the folders are those of Unix")
def test_an_extra_comes_from_where_kblam_came_from(
    record: object, command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(extras, "distribution", lambda name: Installed(record))
    assert pip_install("serve") == command


def test_code_that_is_not_installed_names_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(extras, "distribution", missing)
    assert pip_install("ann") == "pip install 'kblam[ann]'"
