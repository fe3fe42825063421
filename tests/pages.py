"""A browser without a window, asked what of a page lies outside of it: nothing may be cut off on a phone or on a desk."""

from __future__ import annotations

import html
import json
import os
import re
import shutil
import subprocess
from pathlib import Path

WIDTHS = (390, 1440)
"""Of a phone and of a laptop, px."""

_NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")

# The page stands in a frame, which may be narrower than a browser's window can be; scripts are its surroundings', never its own.
_HARNESS = """<!doctype html><body style="margin:0"><iframe width="WIDTH" height="900" style="border:0"></iframe><script>
const frame = document.querySelector("iframe"), found = [];
frame.onload = () => {
  const page = frame.contentDocument, width = page.documentElement.clientWidth, styleOf = frame.contentWindow.getComputedStyle;
  page.querySelectorAll("details").forEach(folded => { folded.open = true; });
  const scrolls = element => ["auto", "scroll"].includes(styleOf(element).overflowX);
  const inScroller = e => { while ((e = e.parentElement)) if (scrolls(e)) return true; return false; };
  for (const element of page.body.querySelectorAll("*")) {
    const box = element.getBoundingClientRect(), words = (element.textContent || element.alt || "").trim().slice(0, 40);
    const name = element.tagName.toLowerCase() + " '" + words + "'";
    if (!box.width) continue;
    if (!inScroller(element) && (box.right > width + 1 || box.left < -1)) found.push(name + " ends at " + Math.round(box.right));
    else if (styleOf(element).display !== "inline" && !scrolls(element) && element.scrollWidth > element.clientWidth + 1)
      found.push(name + " holds " + element.scrollWidth + " px in " + element.clientWidth);
  }
  const said = document.createElement("pre");
  said.id = "said";
  said.textContent = JSON.stringify({ elements: page.body.querySelectorAll("*").length, found });
  document.body.append(said);
};
frame.srcdoc = PAGE;
</script>"""


def browser() -> str | None:
    """LANDMARKS_BROWSER, or a Chromium or Chrome of the path; None where there is none."""
    return os.environ.get("LANDMARKS_BROWSER") or next(filter(None, map(shutil.which, _NAMES)), None)


def outside(program: str, page: str, width: int, folder: Path) -> list[str]:
    """What lies outside of a window, or of a box that does not scroll; folded parts are unfolded.

    Args:
        program: The browser.
        page: HTML.
        width: Of the window, px.
        folder: For the browser's files.
    """
    harness = folder / "harness.html"
    as_string = json.dumps(page).replace("</", "<\\/")
    harness.write_text(_HARNESS.replace("WIDTH", str(width)).replace("PAGE", as_string), encoding="utf-8")
    options = [
        "--headless=new",
        "--disable-gpu",
        "--virtual-time-budget=20000",
        f"--user-data-dir={folder / 'profile'}",
    ]
    if os.geteuid() == 0:
        options.append("--no-sandbox")
    done = subprocess.run(
        [program, *options, "--dump-dom", harness.as_uri()], capture_output=True, text=True, timeout=120
    )
    said = re.search(r'<pre id="said">(.*?)</pre>', done.stdout, re.DOTALL)
    assert said, done.stderr[-2000:]
    answer = json.loads(html.unescape(said[1]))
    assert answer["elements"] > 20, "the page is empty"
    return answer["found"]
