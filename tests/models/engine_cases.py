"""Sources and images of the engine reference file, as the tests need them."""

import math
from dataclasses import dataclass

import numpy as np

EXTENT = {"PSF": 0, "REX": 4, "EXP": 4, "DEV": 8, "SER": 8}


@dataclass
class EngineCase:
    """One rendered source of the reference file."""

    name: str
    type: str
    px: float
    py: float
    cinv: np.ndarray
    shape: tuple
    hard: tuple
    stamp: np.ndarray
    sigma: float
    flux: float
    pixscale: float
    image_shape: tuple
    data: dict

    def reference_frame(self, window=None):
        """Frame size by the reference's rule: a power of two that depends on the window."""
        height, width = self.image_shape
        h, w = self.stamp.shape
        if window is None:
            half = max(1.0, EXTENT[self.type] * self.hard[0] / self.pixscale)
            half = min(half, max(self.px, width - 1 - self.px, self.py, height - 1 - self.py) + 1)
            half = math.ceil(max(half, math.hypot(h / 2, w / 2)))
        else:
            x0, y0, ww, hh = window
            x1, y1 = x0 + ww, y0 + hh
            edges = (1 + self.px - x0, 1 + x1 - self.px, 1 + self.py - y0, 1 + y1 - self.py)
            half = math.ceil(max(hh / 2, ww / 2, *edges, h / 2, w / 2))
        return 2 ** math.ceil(math.log2(2 * half))

    def reference_rule(self, window=None):
        """Keywords of `render_window` for the reference's frame rule."""
        if self.type == "PSF":
            return {}
        size = self.reference_frame(window)
        return {"frame_size": size, "split_half_size": size / 2.0, "max_mahalanobis2": 100.0}


def load_cases(reference):
    """All rendered sources of the reference file (an open npz)."""
    cases = []
    for k in range(int(reference["nsrc"])):
        prefix = f"s{k:02d}_"
        data = {f[len(prefix) :]: reference[f] for f in reference.files if f.startswith(prefix)}
        n, r_e, _, _, e1, e2, log_re, eps1, eps2, px, py, stamp = data["par"][:12]
        cd = data["cd"]
        cases.append(
            EngineCase(
                name=f"{k}-{data['type']}-re{r_e:.2f}-n{n:.2f}",
                type=str(data["type"]),
                px=float(px),
                py=float(py),
                cinv=np.linalg.inv(cd) / 3600.0,
                shape=(float(log_re), float(eps1), float(eps2), float(n)),
                hard=(float(r_e), float(e1), float(e2)),
                stamp=reference[f"stamp{int(stamp)}"],
                sigma=float(reference["stamp_fwhm"][int(stamp)]) / 2.35,
                flux=float(data["par"][18]),
                pixscale=3600 * math.sqrt(abs(np.linalg.det(cd))),
                image_shape=tuple(int(v) for v in reference["img_shape"]),
                data=data,
            )
        )
    return cases
