"""Writes figures as a Markdown table, as JSON, and as a plot of cost by size."""

import json
import math
import os
import platform
import re
import sqlite3
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from benchmarks.harness.measure import Figure
from benchmarks.local.store_status import dvc_program

PEERS = ("git", "rclone", "restic", "dvc", "xxh128sum", "find", "no change", "hf", "the vendor")

COLUMNS = ("work", "what", "wall s", "CPU s", "peak MB", "runs", "ratio")
TARGETS = ("work", "what", "target", "measured", "met", "note")


def table(figures: Sequence[Figure]) -> str:
    """The cost of each command as a Markdown table: medians, and the ratio of the wall times."""
    lines = _head(COLUMNS)
    for figure in figures:
        if not math.isnan(figure.wall):
            ratio = "" if figure.ratio is None else f"{figure.ratio:.2f} x {figure.baseline}"
            numbers = map(_number, (figure.wall, figure.cpu, figure.peak_mb))
            lines.append(_row(figure.work, figure.name, *numbers, str(figure.runs), ratio))
        elif figure.ratio is None:
            lines.append(_row(figure.work, figure.name, figure.note, "", "", "", ""))
        elif not figure.target:
            lines.append(_row(figure.work, figure.name, figure.note, "", "", str(figure.runs), _amount(figure)))
    return "\n".join(lines)


def targets(figures: Sequence[Figure]) -> str:
    """The figures that have a target, and whether it was met, as a Markdown table."""
    lines = _head(TARGETS)
    for figure in figures:
        if figure.met is not None:
            words = f"{figure.target.replace('<=', 'at most').replace('>=', 'at least')} {_unit(figure)}"
            answer = "yes" if figure.met else "**no**"
            lines.append(_row(figure.work, figure.name, words, _amount(figure), answer, figure.note))
    return "\n".join(lines)


def fragment(about: Mapping[str, str], figures: Sequence[Figure]) -> str:
    """A part of ``docs/dev/benchmarks.md``: the machine, the targets, the cost of each command."""
    machine = "; ".join(f"{name} {text}" for name, text in about.items())
    return f"Measured on: {machine}.\n\n{targets(figures)}\n\n{table(figures)}\n"


def _unit(figure: Figure) -> str:
    return (
        figure.baseline if math.isnan(figure.wall) and not figure.baseline.startswith(PEERS) else f"x {figure.baseline}"
    )


def _amount(figure: Figure) -> str:
    assert figure.ratio is not None
    digits = 0 if float(figure.ratio).is_integer() else 2
    return f"{figure.ratio:.{digits}f} {_unit(figure)}"


def _head(columns: Sequence[str]) -> list[str]:
    return [_row(*columns), "|" + "---|" * len(columns)]


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def _number(value: float) -> str:
    if math.isnan(value):
        return ""
    return f"{value:.0f}" if value >= 100 else f"{value:.2f}"


def machine(scratch: Path) -> dict[str, str]:
    """The machine and the versions of the tools that are compared."""
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
        "xxhash": _said("xxh128sum", "--version"),
        "dvc": _said(dvc_program() or "dvc", "--version"),
    }


def write(path: Path, about: Mapping[str, str], figures: Sequence[Figure]) -> None:
    """Writes the machine and the figures as JSON."""

    def plain(value: object) -> object:
        return None if isinstance(value, float) and math.isnan(value) else value

    rows = [{**{name: plain(value) for name, value in asdict(figure).items()}, "met": figure.met} for figure in figures]
    path.write_text(json.dumps({"machine": dict(about), "figures": rows}, indent=1) + "\n")


def read(path: Path) -> list[Figure]:
    """The figures in a file that ``write`` has written."""
    found = []
    for row in json.loads(path.read_text())["figures"]:
        del row["met"]
        found.append(
            Figure(**{name: math.nan if text is None and name != "ratio" else text for name, text in row.items()})
        )
    return found


def status_curves(figures: Sequence[Figure]) -> dict[str, list[tuple[float, float]]]:
    """For each command of the row "no-change status": (files, seconds). Empty if the row was not measured."""
    curves: dict[str, list[tuple[float, float]]] = {}
    for figure in figures:
        found = re.fullmatch(r"no-change status, ([\d,]+) files", figure.work)
        if found and not math.isnan(figure.wall):
            curves.setdefault(figure.name, []).append((float(found[1].replace(",", "")), figure.wall))
    return curves


def plot(path: Path, title: str, curves: Mapping[str, Sequence[tuple[float, float]]]) -> None:
    """Writes an SVG plot of curves of (size, seconds) on logarithmic axes."""
    width, height, edge, names = 760, 400, 60, 240
    points = [point for curve in curves.values() for point in curve]
    spans = []
    for place in (0, 1):
        low = math.floor(min(math.log10(point[place]) for point in points))
        spans.append((low, max(low + 1, math.ceil(max(math.log10(point[place]) for point in points)))))
    (left, right), (bottom, top) = spans

    def x(size: float) -> float:
        return edge + (math.log10(size) - left) / (right - left) * (width - edge - names)

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
        parts.append(f'<line x1="{edge}" x2="{width - names}" y1="{at:.0f}" y2="{at:.0f}" stroke="#ddd"/>')
        parts.append(f'<text x="{edge - 6}" y="{at + 4:.0f}" text-anchor="end">{10.0**power:g} s</text>')
    colours = ("#0b6e99", "#c4452f", "#5b8c2a", "#8a5fb5", "#b8860b", "#555")
    taken = math.inf
    # From the bottom up, so that a label can be moved above the one below it.
    for colour, (name, curve) in zip(colours, sorted(curves.items(), key=lambda item: item[1][-1][1]), strict=False):
        line = " ".join(f"{x(size):.1f},{y(seconds):.1f}" for size, seconds in curve)
        parts.append(f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts += [f'<circle cx="{x(a):.1f}" cy="{y(b):.1f}" r="3" fill="{colour}"/>' for a, b in curve]
        last = curve[-1]
        taken = min(y(last[1]) + 4, taken - 15)
        parts.append(f'<text x="{x(last[0]) + 8:.0f}" y="{taken:.0f}" fill="{colour}">{name}</text>')
    path.write_text("\n".join([*parts, "</svg>\n"]))


def _line(path: str, key: str) -> str:
    try:
        lines = Path(path).read_text().splitlines()
    except OSError:
        return "?"
    return next((line.partition(":")[2].strip() for line in lines if line.startswith(key)), "?")


def _said(*command: str) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError:
        return "-"
    out = done.stdout or done.stderr
    return out.splitlines()[0].strip() if out.strip() else "-"
