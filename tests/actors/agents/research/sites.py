"""Directories as `site-packages` is, with metadata of distributions that were never installed."""

from pathlib import Path


def installed(
    site: Path, name: str, version: str, *lines: str, modules: tuple[str, ...] = ()
) -> None:
    """Put one there. `lines` go into its metadata, `modules` are the packages it brings."""
    info = site / f"{name}-{version}.dist-info"
    info.mkdir(parents=True)
    head = ("Metadata-Version: 2.4", f"Name: {name}", f"Version: {version}")
    (info / "METADATA").write_text("\n".join((*head, *lines, "", "")))
    (info / "RECORD").write_text("".join(f"{module}/__init__.py,,\n" for module in modules))
