"""Pictures of pages for the documentation: ``python -m tests.browser.shots FOLDER PAGE.html …``.

Every page is taken at the width of a desk (1440) and of a telephone (390), in light and dark, down
to ``HEIGHT`` pixels, and kept with a palette of its own: a page has no more than 128 colours that
anybody sees.
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
SCHEMES: tuple[Scheme, ...] = ("light", "dark")


def taken(browser: Chromium, page: Path, width: int, scheme: Scheme) -> bytes:
    """Return a page in a scheme at a width, as a PNG with a palette."""
    browser.open(page, width=width, scheme=scheme)
    whole = Image.open(io.BytesIO(browser.picture(HEIGHT[width]))).convert("RGB")
    kept = io.BytesIO()
    whole.quantize(128, dither=Image.Dither.NONE).save(kept, "PNG", optimize=True)
    return kept.getvalue()


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
