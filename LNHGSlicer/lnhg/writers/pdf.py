"""A report printed to PDF, by a browser of the machine or by WeasyPrint; neither is a part of this package."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import tempfile
from pathlib import Path

from ..errors import InputError

#: Browsers that print without a window: names of programs, and where Windows and macOS have them.
BROWSERS = (
    "chromium",
    "chromium-browser",
    "google-chrome",
    "google-chrome-stable",
    "chrome",
    "msedge",
    "microsoft-edge",
    r"C:\Program Files (x86)\Microsoft\Edge\Application\msedge.exe",
    r"C:\Program Files\Google\Chrome\Application\chrome.exe",
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "/Applications/Microsoft Edge.app/Contents/MacOS/Microsoft Edge",
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
)
_LONGEST_S = 300


def write_pdf(html: Path, pdf: Path) -> None:
    """Print an HTML file. Raises InputError where no browser and no WeasyPrint is there, or neither prints it."""
    browser = next((found for name in BROWSERS if (found := shutil.which(name))), None)
    if browser is not None:
        _by_browser(browser, html, pdf)
    elif importlib.util.find_spec("weasyprint") is not None:
        _by_weasyprint(html, pdf)
    else:
        raise InputError(
            "For --pdf neither a browser (Chromium, Chrome, Edge) nor WeasyPrint was found; install one, or print "
            "report.html from your browser."
        )


def _by_weasyprint(html: Path, pdf: Path) -> None:
    import weasyprint

    try:
        weasyprint.HTML(filename=str(html)).write_pdf(str(pdf))
    except Exception as error:  # of layouts that it cannot do it says so by assertions and others
        why = str(error) or type(error).__name__
        raise InputError(f"WeasyPrint could not print the report ({why}); print report.html from a browser.") from error


def _by_browser(browser: str, html: Path, pdf: Path) -> None:
    with tempfile.TemporaryDirectory(prefix="lnhg-") as profile:
        command = [browser, "--headless", "--disable-gpu", "--no-sandbox", "--no-pdf-header-footer"]
        command += [f"--user-data-dir={profile}", f"--print-to-pdf={pdf.absolute()}", html.absolute().as_uri()]
        try:
            done = subprocess.run(command, capture_output=True, timeout=_LONGEST_S, check=False)
        except (OSError, subprocess.TimeoutExpired) as error:
            raise InputError(f"{Path(browser).name} could not print the report ({error}); print it by hand.") from error
    if done.returncode or not pdf.exists() or not pdf.stat().st_size:
        last = (done.stderr.decode("utf-8", "replace").strip().splitlines() or ["no reason given"])[-1]
        raise InputError(f"{Path(browser).name} could not print the report ({last}); print report.html by hand.")
