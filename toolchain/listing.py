"""What `python3 -m toolchain` prints: each tool, its version, where it is from and why it is needed; then the ways by which each would be had."""

from __future__ import annotations

from collections.abc import Iterable

from toolchain import cache, locate, venv
from toolchain.routes import Debian, GoModule, Tool, Wheel
from toolchain.tools import tools


def listing() -> str:
    """Two tables, then where the cache is and what is left to do."""
    tool_rows = [row(each) for each in tools().values()]
    way_rows = [(each.name, "; ".join(ways(each))) for each in tools().values()]
    parts = [
        table([("tool", "version", "from", "for"), *tool_rows, _environment_row()]),
        "The ways to each, in the order in which they are tried:\n" + table(way_rows),
        f"cache: {cache.root()}",
    ]
    if not venv.is_installed() or any(_is_missing(each) for each in tools().values()):
        parts.append("install what is missing: python3 -m toolchain install")
    return "\n\n".join(parts)


def row(tool: Tool) -> tuple[str, str, str, str]:
    """One line of the first table."""
    found = locate.locate(tool)
    if found:
        version, origin = found.version, f"PATH: {found.path}" if found.origin == "PATH" else found.origin
    elif tool.stand_in:
        version, origin = tool.version, "stand-in of this checkout"
    else:
        version, origin = "", "not installed (only when needed)" if tool.on_demand else "not installed"
    return tool.name, version, origin, tool.why


def ways(tool: Tool) -> list[str]:
    """The ways to a tool, in the order in which they are tried."""
    texts = [f"PATH ({tool.on_path})"] if tool.on_path else []
    texts.append(f"official release {tool.release.version}" if tool.release else f"no official release ({tool.no_release})")
    match tool.built:
        case GoModule() as module:
            texts.append(f"Go module {module.version}")
        case Wheel() as wheel:
            texts.append(f"Python package {wheel.package} {wheel.version}")
        case Debian() as debian:
            texts.append(f"Debian packages {', '.join(debian.packages)}")
    return [*texts, *(["stand-in"] if tool.stand_in else [])]


def table(rows: Iterable[tuple[str, ...]]) -> str:
    """Rows as aligned text."""
    lines = list(rows)
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines)


def _is_missing(tool: Tool) -> bool:
    return not tool.stand_in and not tool.on_demand and locate.locate(tool) is None


def _environment_row() -> tuple[str, str, str, str]:
    origin = f"{venv.REQUIREMENTS.name}: {venv.python().parent.parent}" if venv.is_installed() else "not installed"
    return venv.NAME, "", origin, "the program, the control plane and the tests"
