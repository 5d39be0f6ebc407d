"""Pictures of pages for the documentation: ``python -m tests.browser.shots FOLDER PAGE.html …``.

Every page is taken at the width of a desk (1440) and of a telephone (390), in light and dark, down
to ``HEIGHT`` pixels. Pictures of more than ``HEAVY`` bytes are kept with a palette of 256 colours.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Sequence
from pathlib import Path

from PIL import Image
from tests.browser.chromium import Chromium, Scheme, chromium, programs

HEIGHT = {1440: 3000, 390: 3000}
"""Most pixels of a picture, by the width of the window."""
HEAVY = 400_000
SCHEMES: tuple[Scheme, ...] = ("light", "dark")


def taken(browser: Chromium, page: Path, width: int, scheme: Scheme) -> bytes:
    """Return a page in a scheme at a width, as a PNG."""
    browser.open(page, width=width, scheme=scheme)
    seen = browser.picture(HEIGHT[width])
    whole = Image.open(io.BytesIO(seen)).convert("RGB")
    kept = io.BytesIO()
    whole.save(kept, "PNG", optimize=True)
    if kept.tell() <= HEAVY:
        return kept.getvalue()
    fewer = io.BytesIO()
    method = Image.Quantize.MAXCOVERAGE
    whole.quantize(256, method, dither=Image.Dither.NONE).save(fewer, "PNG", optimize=True)
    return fewer.getvalue()


def main(arguments: Sequence[str]) -> int:
    """Take every page, and say where the pictures are."""
    found = programs()
    if len(arguments) < 2 or found is None:
        print("Usage: python -m tests.browser.shots FOLDER PAGE.html …, with Chromium installed")
        return 2
    folder = Path(arguments[0])
    folder.mkdir(parents=True, exist_ok=True)
    with chromium(*found) as browser:
        for page in map(Path, arguments[1:]):
            for width in HEIGHT:
                for scheme in SCHEMES:
                    picture = taken(browser, page.resolve(), width, scheme)
                    target = folder / f"{page.stem}-{width}-{scheme}.png"
                    target.write_bytes(picture)
                    print(f"{target}: {len(picture) / 1000:.0f} kB")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
