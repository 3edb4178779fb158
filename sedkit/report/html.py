"""A page as one file: nothing of it is fetched, and what is not ours in it is text."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sedkit.core.errors import SedkitError

_TEMPLATES = Path(__file__).parent / "templates"
#: What would end a script, begin a comment or a tag in one; JSON has each as its code, too.
_ESCAPED = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026"}


def script_json(value: Any) -> str:
    r"""Return JSON for the inside of a script of a page.

    >>> print(script_json({"name": "</script><!--\u2028é"}))
    {"name":"\u003c/script\u003e\u003c!--\u2028\u00e9"}
    """
    text = json.dumps(value, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    for character, code in _ESCAPED.items():
        text = text.replace(character, code)
    return text


def render(context: Mapping[str, Any]) -> str:
    """Return the page of a context (`templates/page.html`); values are escaped, a name that is not there is an error.

    The page's own script is the only one that a browser runs: it is named by its hash.
    """
    try:
        import jinja2
    except ImportError as error:
        raise SedkitError(
            f"pages are made by jinja2, which cannot be imported ({error}); `pip install 'jinja2>=3.1'`"
        ) from None
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    style, *scripts = ((_TEMPLATES / name).read_text(encoding="utf-8") for name in ("page.css", "lanes.js", "page.js"))
    script = "".join(scripts)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    page = environment.get_template("page.html").render(
        **context, style=style, script=script, script_hash=f"sha256-{digest}"
    )
    # A file's name that is no UTF-8 holds half characters, which no page can.
    return page.encode("utf-8", "backslashreplace").decode()
