"""Makes the README's picture from a real run: `python docs/page_picture.py` rewrites docs/page.png.

A broker, a worker, a gateway and simulated people, and their page in the system's Chromium, or in
the one that STREAMER_CHROMIUM names.
"""

import asyncio
import os
import shutil
import tempfile
import time
import urllib.request
from contextlib import ExitStack, suppress
from pathlib import Path

from playwright.sync_api import sync_playwright

from streamer.errors import SettingsError
from streamer.kafka import topics
from streamer.localkafka.broker import LocalKafka, free_ports
from streamer.settings import Settings
from streamer.tools.programs import run_program

DEVICES = 12
SHOWN = "phone-001"
SECONDS = 75
PICTURE = Path(__file__).with_name("page.png")


def main() -> None:
    chromium = os.environ.get("STREAMER_CHROMIUM") or shutil.which("chromium")
    if chromium is None:
        raise SettingsError("install Debian's chromium, or name a Chromium in STREAMER_CHROMIUM")
    with tempfile.TemporaryDirectory() as scratch, ExitStack() as stack:
        kafka = stack.enter_context(LocalKafka())
        where = ["--bootstrap-servers", kafka.bootstrap_servers]
        asyncio.run(topics.ensure(Settings.load({"bootstrap_servers": kafka.bootstrap_servers})))
        [port] = free_ports(1)
        address = f"http://127.0.0.1:{port}"
        for name, arguments in {
            "worker": ["run", *where, "--http-port", "0"],
            "gateway": ["gateway", *where, "--gateway-port", str(port)],
            "devices": ["simulate", *where, "--devices", str(DEVICES), "--batch", "10"],
        }.items():
            stack.enter_context(run_program(name, arguments, Path(scratch)))
        wait_until_ready(f"{address}/readyz")
        playwright = stack.enter_context(sync_playwright())
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1200, "height": 760})
        page.goto(f"{address}/#device={SHOWN}")
        page.wait_for_timeout(SECONDS * 1000)
        page.screenshot(path=PICTURE)
        browser.close()


def wait_until_ready(url: str) -> None:
    while True:
        with suppress(OSError), urllib.request.urlopen(url, timeout=5):
            return
        time.sleep(0.2)


if __name__ == "__main__":
    main()
