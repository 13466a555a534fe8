"""Prints figures as a table, keeps them as JSON, and draws cost against size."""

import json
import math
import os
import platform
import sqlite3
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from benchmarks.local_status import dvc_program
from benchmarks.measuring import Figure

COLUMNS = ("work", "what", "wall s", "CPU s", "peak MB", "ratio", "reach")


def table(figures: Sequence[Figure]) -> str:
    """The figures as a table in Markdown."""
    lines = [f"| {' | '.join(COLUMNS)} |", "|" + "|".join("-" * len(COLUMNS)).replace("-", "---") + "|"]
    for figure in figures:
        if figure.note and math.isnan(figure.wall):
            lines.append(f"| {figure.work} | {figure.name} | {figure.note} | | | | |")
            continue
        ratio = "" if figure.ratio is None else f"{figure.ratio:.2f} x {figure.beside}"
        cells = [figure.work, figure.name, *map(_number, (figure.wall, figure.cpu, figure.peak_mb))]
        reach = "; ".join(part for part in (figure.reach, figure.note) if part)
        lines.append(f"| {' | '.join([*cells, ratio, reach])} |")
    return "\n".join(lines)


def _number(value: float) -> str:
    if math.isnan(value):
        return ""
    return f"{value:.0f}" if value >= 100 else f"{value:.2f}"


def machine(scratch: Path) -> dict[str, str]:
    """What the figures were measured on."""
    return {
        "date": time.strftime("%Y-%m-%d %H:%M %Z"),
        "cores": str(os.cpu_count()),
        "CPU": _line("/proc/cpuinfo", "model name"),
        "memory": _line("/proc/meminfo", "MemTotal"),
        "file system": _said("stat", "--file-system", "--format=%T", str(scratch)),
        "kernel": platform.release(),
        "load before": f"{os.getloadavg()[0]:.1f}",
        "Python": platform.python_version(),
        "SQLite": sqlite3.sqlite_version,
        "git": _said("git", "--version"),
        "rclone": _said("rclone", "--version"),
        "restic": _said("restic", "version"),
        "dvc": _said(dvc_program() or "dvc", "--version"),
    }


def write(path: Path, about: Mapping[str, str], figures: Sequence[Figure]) -> None:
    def plain(value: object) -> object:
        return None if isinstance(value, float) and math.isnan(value) else value

    rows = [{name: plain(value) for name, value in asdict(figure).items()} for figure in figures]
    path.write_text(json.dumps({"machine": dict(about), "figures": rows}, indent=1) + "\n")


def plot(path: Path, title: str, curves: Mapping[str, Sequence[tuple[float, float]]]) -> None:
    """Draws curves of (size, seconds) on logarithmic axes."""
    width, height, edge = 640, 400, 60
    points = [point for curve in curves.values() for point in curve]
    spans = []
    for place in (0, 1):
        low = math.floor(min(math.log10(point[place]) for point in points))
        spans.append((low, max(low + 1, math.ceil(max(math.log10(point[place]) for point in points)))))
    (left, right), (bottom, top) = spans

    def x(size: float) -> float:
        return edge + (math.log10(size) - left) / (right - left) * (width - 3 * edge)

    def y(seconds: float) -> float:
        return height - edge - (math.log10(seconds) - bottom) / (top - bottom) * (height - 2 * edge)

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif"'
        ' font-size="12">',
        f'<rect width="{width}" height="{height}" fill="white"/><text x="{edge}" y="28" font-size="15">{title}</text>',
    ]
    for power in range(left, right + 1):
        at = x(10.0**power)
        parts.append(f'<line x1="{at:.0f}" x2="{at:.0f}" y1="{edge}" y2="{height - edge}" stroke="#ddd"/>')
        parts.append(f'<text x="{at:.0f}" y="{height - edge + 18}" text-anchor="middle">{10**power:,}</text>')
    for power in range(bottom, top + 1):
        at = y(10.0**power)
        parts.append(f'<line x1="{edge}" x2="{width - 2 * edge}" y1="{at:.0f}" y2="{at:.0f}" stroke="#ddd"/>')
        parts.append(f'<text x="{edge - 6}" y="{at + 4:.0f}" text-anchor="end">{10.0**power:g} s</text>')
    colours = ("#0b6e99", "#c4452f", "#5b8c2a", "#8a5fb5", "#b8860b", "#555")
    for colour, (name, curve) in zip(colours, curves.items(), strict=False):
        line = " ".join(f"{x(size):.1f},{y(seconds):.1f}" for size, seconds in curve)
        parts.append(f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts += [f'<circle cx="{x(a):.1f}" cy="{y(b):.1f}" r="3" fill="{colour}"/>' for a, b in curve]
        last = curve[-1]
        parts.append(f'<text x="{x(last[0]) + 8:.0f}" y="{y(last[1]) + 4:.0f}" fill="{colour}">{name}</text>')
    path.write_text("\n".join([*parts, "</svg>\n"]))


def _line(path: str, key: str) -> str:
    try:
        lines = Path(path).read_text().splitlines()
    except OSError:
        return "?"
    return next((line.partition(":")[2].strip() for line in lines if line.startswith(key)), "?")


def _said(*command: str) -> str:
    try:
        out = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    except OSError:
        return "-"
    return out.splitlines()[0].strip() if out.strip() else "-"
