"""An HTML page of a campaign: a map of its bricks by state, depth or time."""

import html
import json
import os
from pathlib import Path

from ..files import atomic_file
from .records import log_path
from .status import status_lines

__all__ = ["write_page"]

_PAGE = """\
<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>Campaign {title}</title>
<style>
body {{ font: 15px/1.4 system-ui, sans-serif; margin: 1.5em; }}
canvas {{ border: 1px solid #bbb; cursor: crosshair; max-width: 100%; }}
pre {{ background: #f4f4f4; padding: 0.8em; overflow-x: auto; }}
</style></head><body>
<h1>Campaign {title}</h1>
<p>Colour: <select id="by"><option>state</option><option>depth</option><option>seconds</option></select>
<span id="legend"></span></p>
<canvas id="map" width="1200" height="600"></canvas>
<p id="about">Point at a brick; click opens its report, or its log.</p>
<pre>{lines}</pre>
<script>
const bricks = {bricks};
const colors = {{"done": "#2a9d3a", "faults": "#b5a100", "nothing": "#cccccc", "running": "#2f7fd6",
  "waiting": "#eeeeee", "failed": "#d62f2f", "out of memory": "#a02fd6", "timed out": "#e07b00",
  "quarantined": "#5a1010"}};
const canvas = document.getElementById("map"), context = canvas.getContext("2d");
const by = document.getElementById("by"), about = document.getElementById("about");
const ras = bricks.map(b => b.ra), wrap = Math.max(...ras) - Math.min(...ras) > 180;
const x0 = b => wrap && b.ra > 180 ? b.ra - 360 : b.ra;
const xs = bricks.map(x0), ys = bricks.map(b => b.dec), pad = 0.2;
const low = [Math.min(...xs) - pad, Math.min(...ys) - pad], high = [Math.max(...xs) + pad, Math.max(...ys) + pad];
const squeeze = Math.cos((low[1] + high[1]) / 2 * Math.PI / 180);
const scale = Math.min(1180 / ((high[0] - low[0]) * squeeze), 580 / (high[1] - low[1]));
const place = b => [
  canvas.width - 10 - (x0(b) - low[0]) * squeeze * scale, canvas.height - 10 - (b.dec - low[1]) * scale];
const side = Math.max(4, Math.min(40, 0.24 * scale));
function draw() {{
  context.clearRect(0, 0, canvas.width, canvas.height);
  const values = bricks.map(b => b[by.value]).filter(v => typeof v === "number");
  const least = Math.min(...values), most = Math.max(...values);
  for (const b of bricks) {{
    const v = b[by.value], [x, y] = place(b);
    context.fillStyle = by.value === "state" ? colors[v] : typeof v !== "number" ? "#eeeeee" :
      `hsl(${{240 - 240 * (most > least ? (v - least) / (most - least) : 0.5)}} 80% 50%)`;
    context.fillRect(x - side / 2, y - side / 2, side, side);
    context.strokeStyle = "#888"; context.strokeRect(x - side / 2, y - side / 2, side, side);
  }}
  const legend = document.getElementById("legend");
  legend.textContent = by.value === "state" ? "" : values.length ? `blue ${{least}} to red ${{most}}` : "no values";
  if (by.value === "state")
    for (const state of [...new Set(bricks.map(b => b.state))]) {{
      const sample = document.createElement("span");
      sample.textContent = " \\u25a0 " + state; sample.style.color = colors[state]; legend.append(sample);
    }}
}}
function at(event) {{
  const frame = canvas.getBoundingClientRect(), ratio = canvas.width / frame.width;
  const x = (event.clientX - frame.left) * ratio, y = (event.clientY - frame.top) * ratio;
  const near = p => Math.max(Math.abs(p[0] - x), Math.abs(p[1] - y)) <= side / 2;
  return bricks.find(b => near(place(b)));
}}
canvas.addEventListener("mousemove", event => {{
  const b = at(event);
  if (b) about.textContent = `${{b.brick}}: ${{b.state}} ${{b.reason}}` +
    ` (RA ${{b.ra}}, Dec ${{b.dec}}, ${{b.n_ccds}} CCDs` + (b.depth ? `, depth ${{b.depth}}` : "") +
    (b.seconds ? `, ${{b.seconds}} s` : "") + ")";
}});
canvas.addEventListener("click", event => {{ const b = at(event); if (b && b.link) location.href = b.link; }});
by.addEventListener("change", draw); draw();
</script></body></html>
"""


def write_page(report: dict, path: str | Path | None = None) -> Path:
    """Write the page of a campaign.

    Parameters
    ----------
    report : dict
        From `status`.
    path : str or Path, optional
        Default: ``campaign/index.html`` of the output directory.

    Returns
    -------
    Path
    """
    outdir = Path(report["outdir"])
    path = outdir / "campaign" / "index.html" if path is None else Path(path)
    bricks = [{**brick, "link": _link(outdir, brick["brick"], path.parent)} for brick in report["bricks"]]
    # In a script no "</" may appear, whatever a file is called.
    text = _PAGE.format(
        title=html.escape(str(outdir)),
        lines=html.escape("\n".join(status_lines(report))),
        bricks=json.dumps(bricks).replace("<", "\\u003c"),
    )
    with atomic_file(path) as stream:
        stream.write(text.encode())
    return path


def _link(outdir: Path, brick: str, folder: Path) -> str | None:
    """Address of a brick's report, log or picture, relative to the page; None if there is none of them."""
    report = outdir / "reports" / brick[:3] / f"{brick}.html"
    picture = outdir / "coadd" / brick[:3] / brick / f"legacysurvey-{brick}-image.jpg"
    for path in (report, log_path(outdir, brick), picture):
        if path.is_file():
            return os.path.relpath(path, folder)
    return None
