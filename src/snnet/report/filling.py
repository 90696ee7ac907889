# Tested in tests/report/test_page.py.
"""A page of this room with all it needs inside one file."""

import base64
import html
import json
from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from string import Template
from types import MappingProxyType
from typing import Any

from snnet.errors import TableError
from snnet.utils import check_output, write_text


def fill_page(
    path: str | Path,
    page: str,
    data: dict[str, Any],
    scripts: Sequence[str],
    pictures: Mapping[str, Path] = MappingProxyType({}),
    **texts: str,
) -> Path:
    """Write a page of this room with all it needs inside, whole or not at all.

    Args:
        path: Where to write.
        page: File of the page, in which `$style`, `$script`, `$data` and the texts are filled in.
        data: What the scripts draw.
        scripts: Files of the scripts, besides what all pages share.
        pictures: Caption -> PNG file, for `$pictures`.
        **texts: What people read, by the name of its place.

    Raises:
        TableError: If nothing can be written there.
    """
    check_output(Path(path), TableError, is_file=True)
    here = files("snnet.report")
    # "<" would let a name in the data end the script element.
    parts = {name: html.escape(text) for name, text in texts.items()} | {
        "data": json.dumps(data, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c"),
        "style": here.joinpath("page.css").read_text(encoding="utf-8"),
        "pictures": "".join(_picture(caption, file) for caption, file in pictures.items()),
        "script": "".join(here.joinpath(name).read_text(encoding="utf-8") for name in ("draw.js", *scripts)),
    }
    return write_text(path, Template(here.joinpath(page).read_text(encoding="utf-8")).substitute(parts))


def _picture(caption: str, file: Path) -> str:
    told, data = html.escape(caption), base64.b64encode(file.read_bytes()).decode()
    return (
        f'  <section class="card wide picture">\n    <h2>{told}</h2>\n'
        f'    <img alt="{told}" src="data:image/png;base64,{data}">\n  </section>\n'
    )
