"""Takes the pictures of the live page, of a real run of the demo: `make page-pictures`.

`page-light.png` and `page-dark.png` show `nerstream demo --serve` after so many minutes that its
charts are full, `page-articles.png` the latest articles further down. It needs Chromium, and looks
as on our pictures where Debian's fonts-inter and fonts-urw-base35 are installed.
"""

from __future__ import annotations

import argparse
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

from tests.support.servers.browser import Looked, chromium_path, running_chromium

FOLDER = Path(__file__).resolve().parent

#: Width and height of a picture, in pixels.
SIZE = (1_120, 1_180)
#: The height of the one of articles.
ARTICLES_HEIGHT = 500


def main() -> None:
    """Run the demo, say how soon its page was usable, and take the pictures."""
    parser = argparse.ArgumentParser(description="Take the pictures of the live page.")
    parser.add_argument("--minutes", type=float, default=15.5, help="how long the demo runs before")
    parser.add_argument("--folder", type=Path, default=FOLDER, help="where the pictures go")
    arguments = parser.parse_args()
    command = [sys.executable, "-m", "consumer", "demo", "--serve", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as demo:
        try:
            take(address_of(demo), arguments.minutes * 60, arguments.folder)
        finally:
            demo.send_signal(signal.SIGINT)


def address_of(demo: subprocess.Popen[str]) -> str:
    """Where the page is."""
    assert demo.stdout is not None
    for line in demo.stdout:
        if found := re.search(r"http://\S+", line):
            return found[0]
    raise SystemExit("the demo ended before it had a page")


def take(address: str, after_s: float, folder: Path) -> None:
    """Both pictures.

    Args:
        after_s: seconds from the first article on.
    """
    width, height = SIZE
    with running_chromium(chromium_path()) as browser:
        looked = Looked(browser)
        started = time.monotonic()
        looked.page.goto(address)
        looked.page.wait_for_selector("#state:not([data-kind=asking])")
        print(f"usable after {time.monotonic() - started:.2f} s, while the model was being loaded")
        looked.state("flowing")
        looked.close()
        time.sleep(after_s)
        for dark in (False, True):
            looked = Looked(browser, dark=dark, width=width)
            started = time.monotonic()
            looked.page.goto(address)
            looked.state("flowing")
            looked.page.wait_for_selector("#articles li")
            print(f"usable after {time.monotonic() - started:.2f} s, under load")
            looked.page.set_viewport_size({"width": width, "height": height})
            looked.page.wait_for_timeout(2_500)
            shot(looked, folder / f"page-{'dark' if dark else 'light'}.png")
            if not dark:
                looked.page.set_viewport_size({"width": width, "height": ARTICLES_HEIGHT})
                top = "document.querySelector('#feeds').getBoundingClientRect().top - 24"
                looked.page.evaluate(f"window.scrollBy(0, {top})")
                # Until none arrives in the midst of the picture.
                looked.page.locator("#pause").evaluate("button => button.click()")
                looked.page.wait_for_timeout(500)
                shot(looked, folder / "page-articles.png")
            looked.close()


def shot(looked: Looked, path: Path) -> None:
    """What the window shows."""
    looked.page.screenshot(path=path)
    print(f"{path.name}: {path.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
