"""The picture in the documentation is what its own code prints."""

import contextlib
import io
import re
from pathlib import Path

PAGE = Path(__file__).parents[1] / "docs" / "anatomy.md"


def test_the_picture_on_the_page_is_what_its_code_prints():
    text = PAGE.read_text(encoding="utf-8")
    code, picture = re.search(r"```python\n(.+?)```\n\n```text\n(.*?)```", text, re.DOTALL).groups()
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(code, str(PAGE), "exec"), {"__name__": "page"})
    assert printed.getvalue() == picture
