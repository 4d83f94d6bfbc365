"""legacypipe_lite: the brick pipeline of the DESI Legacy Imaging Surveys, re-implemented."""

from . import kernel_cache as _kernel_cache

_kernel_cache.refresh()
