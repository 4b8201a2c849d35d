"""Invented recordings in the forms of other programs."""

from pathlib import Path

import numpy as np

Array = np.ndarray


def walk(seconds: float, rate_hz: float, seed: int = 0) -> tuple[Array, Array, Array]:
    """Times in s (n,), acceleration in g (n, 3), rotation in rad/s (n, 3) of somebody walking."""
    times = np.arange(round(seconds * rate_hz)) / rate_hz
    swing = np.sin(2 * np.pi * 1.75 * times)[:, None]
    noise = np.random.default_rng(seed).normal(0, 0.005, (len(times), 6))
    acc = swing * (0.3, 0.2, 0.1) + (0.97, -0.2, 0.1) + noise[:, :3]
    return times, acc, swing * (0.4, 0.4, 0.3) + noise[:, 3:]


def write_rows(path: Path, header: str, columns: list[Array], separator: str = ",") -> Path:
    """Write columns of numbers or texts under a header."""
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = [separator.join(map(str, row)) for row in zip(*columns, strict=True)]
    path.write_text("\n".join([header, *rows] if header else rows) + "\n")
    return path


def write_phyphox(folder: Path, seconds: float = 12.0, pause_s: float = 0.0) -> Path:
    """Write a folder as phyphox exports it; the gyroscope starts later and is a bit faster."""
    times, acc, _ = walk(seconds, 100)
    header = ",".join(f'"{axis} (m/s^2)"' for axis in "XYZ")
    write_rows(folder / "Accelerometer.csv", f'"Time (s)",{header}', [times, *(acc.T * 9.80665)])
    times, _, gyro = walk(seconds, 102)
    header = ",".join(f'"{axis} (rad/s)"' for axis in "XYZ")
    write_rows(folder / "Gyroscope.csv", f'"Time (s)",{header}', [times + 0.031, *gyro.T])
    half = seconds / 2
    lines = ['"event","experiment time","system time"', '"START",0.0,1700000000.0']
    if pause_s:
        lines.append(f'"PAUSE",{half},{1_700_000_000 + half}')
        lines.append(f'"START",{half},{1_700_000_000 + half + pause_s}')
    (folder / "meta").mkdir()
    (folder / "meta" / "time.csv").write_text("\n".join(lines) + "\n")
    return folder


def write_sensor_logger(folder: Path, gravity: bool = True) -> Path:
    """Write a folder as Sensor Logger exports it, with or without the file of gravity."""
    times, acc, gyro = walk(12, 100)
    ns = (1_700_000_000_000_000_000 + times * 1e9).astype(np.int64)
    down = np.tile((0.97, -0.2, 0.1), (len(acc), 1))
    files = {"Accelerometer": acc - down, "Gravity": down}
    for name, values in files.items():
        if name != "Gravity" or gravity:
            z_first = (values * 9.80665).T[::-1]
            write_rows(folder / f"{name}.csv", "time,seconds_elapsed,z,y,x", [ns, times, *z_first])
    header = "time,seconds_elapsed,z,y,x"
    write_rows(folder / "Gyroscope.csv", header, [ns, times, *gyro.T[::-1]])
    return folder


def write_coremotion(path: Path) -> Path:
    """Write a file of CoreMotion's vectors at 50 Hz: gravity points down, there are no times."""
    times, acc, gyro = walk(12, 50)
    down = np.tile((-0.97, 0.2, -0.1), (len(acc), 1))
    vectors = {"gravity": down, "rotationRate": gyro, "userAcceleration": -acc - down}
    names = ",".join(f"{vector}.{axis}" for vector in vectors for axis in "xyz")
    columns = [column for values in vectors.values() for column in values.T]
    return write_rows(path, f",{names}", [np.arange(len(times)), *columns])
