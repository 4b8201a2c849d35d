"""The system's Chromium, and recordings that it plays as the motion of a phone."""

import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

if TYPE_CHECKING:
    from playwright.async_api import Browser, Page

PATIENCE_MS = 120_000
STANDARD_GRAVITY = 9.80665

_PLAY = """
(recording) => {
  // The values at the time of each event: an event that is late does not bend the recording.
  const begin = performance.now();
  const at = (rows, time) => {
    const place = (time / 20) % (rows.length - 1), row = Math.floor(place), part = place - row;
    return rows[row].map((value, i) => value + part * (rows[row + 1][i] - value));
  };
  setInterval(() => {
    const time = performance.now() - begin;
    const [x, y, z] = at(recording.acc, time), [alpha, beta, gamma] = at(recording.gyro, time);
    dispatchEvent(new DeviceMotionEvent("devicemotion", {
      accelerationIncludingGravity: {x, y, z}, rotationRate: {alpha, beta, gamma}, interval: 16,
    }));
  }, 1000 / 60);
}
"""


@asynccontextmanager
async def chromium() -> AsyncIterator["Browser"]:
    """Run the system's Chromium; skip where there is none."""
    api = pytest.importorskip("playwright.async_api")
    path = os.environ.get("STREAMER_CHROMIUM") or shutil.which("chromium")
    if path is None:
        pytest.skip("install Debian's chromium, or name a Chromium in STREAMER_CHROMIUM")
    async with api.async_playwright() as playwright:
        flags = ["--no-sandbox", "--disable-dev-shm-usage"]
        browser = await playwright.chromium.launch(executable_path=path, args=flags)
        try:
            yield browser
        finally:
            await browser.close()


def cut_recording(har_dir: Path, begin: int, end: int) -> dict[str, list[list[float]]]:
    """Return rows of the first public recording, at 50 Hz, as a browser would give them."""
    name = "exp01_user01.txt"
    acc, gyro = (np.loadtxt(har_dir / "RawData" / f"{sensor}_{name}") for sensor in ("acc", "gyro"))
    return {
        "acc": (acc[begin:end] * STANDARD_GRAVITY).round(4).tolist(),
        "gyro": np.degrees(gyro[begin:end]).round(4).tolist(),
    }


async def play(page: "Page", recording: dict[str, Any]) -> None:
    """Let the page see a recording as its own motion, over and over, at 60 Hz."""
    await page.evaluate(_PLAY, recording)
