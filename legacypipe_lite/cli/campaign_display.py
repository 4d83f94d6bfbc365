"""What a campaign shows while it runs: one line that changes on a terminal, a line now and then elsewhere."""

import time

__all__ = ["CampaignDisplay"]

_SECONDS_BETWEEN_LINES = 30.0


class CampaignDisplay:
    """Context manager that shows a `Tally`.

    Parameters
    ----------
    stream : text stream
        Where to show it.
    """

    def __init__(self, stream):
        self._stream, self._live = stream, None
        self._started = self._last = time.monotonic()
        self._at_start = None

    def __enter__(self):
        if self._stream.isatty():
            from rich.console import Console
            from rich.live import Live

            self._live = Live("", console=Console(file=self._stream), auto_refresh=False)
            self._live.__enter__()
        return self

    def __exit__(self, *exception):
        if self._live is not None:
            self._live.__exit__(*exception)

    def show(self, tally):
        """Show how far the campaign is."""
        if self._at_start is None:
            self._at_start = (tally.predicted_left, tally.counts.total())
        now = time.monotonic()
        if self._live is not None:
            self._live.update(self._line(tally, now), refresh=True)
        elif now - self._last > _SECONDS_BETWEEN_LINES:
            self._last = now
            print(self._line(tally, now), file=self._stream, flush=True)

    def _line(self, tally, now):
        elapsed = max(now - self._started, 1e-3)
        counts = ", ".join(f"{number} {state}" for state, number in tally.counts.items())
        left = tally.total - tally.counts.total()
        parts = [f"{tally.total} bricks: {counts or 'none done'}, {tally.in_hand} in hand, {left} left"]
        if tally.calibrations:
            parts.append(f"{tally.calibrations} images to calibrate")
        parts.append(f"{tally.workers} workers, {tally.sources / elapsed:.1f} sources/s")
        finished = self._at_start[0] - tally.predicted_left
        if finished > 0 and left:
            parts.append(f"time left {_duration(elapsed * tally.predicted_left / finished)}")
        return "; ".join(parts)


def _duration(seconds):
    minutes = int(seconds // 60)
    return f"{minutes // 60}:{minutes % 60:02d} h" if minutes >= 60 else f"{minutes}:{int(seconds % 60):02d} min"
