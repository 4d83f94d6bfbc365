"""Files of output trees over HTTP."""

import html
from pathlib import Path
from urllib.parse import quote

__all__ = ["find_file", "folder_page"]


def find_file(root, relative):
    """The file or folder of a path below a root.

    Parameters
    ----------
    root : Path
    relative : str
        From a URL.

    Returns
    -------
    Path or None
        None if there is none, or it lies outside (through ``..`` or a link), or its name or that of a folder on the
        way begins with a dot.
    """
    parts = [part for part in relative.split("/") if part]
    if any(part.startswith(".") or "\\" in part for part in parts):
        return None
    try:
        root = Path(root).resolve(strict=True)
        found = root.joinpath(*parts).resolve(strict=True)
    except (OSError, ValueError, RuntimeError):
        return None
    if not found.is_relative_to(root) or not (found.is_dir() or found.is_file()):
        return None
    return found


def folder_page(folder, relative):
    """Listing of a folder with relative links; str."""
    names = sorted((entry.name + "/" * entry.is_dir() for entry in folder.iterdir()), key=str.lower)
    title = html.escape("/" + relative)
    items = "".join(f'<li><a href="./{quote(n)}">{html.escape(n)}</a></li>' for n in names if not n.startswith("."))
    return (
        f"<!doctype html><html><head><title>{title}</title></head><body><h1>{title}</h1><ul>{items}</ul></body></html>"
    )
