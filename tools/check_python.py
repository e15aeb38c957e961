"""End with a clear message where this Python is too old for the package."""

import sys

if sys.version_info < (3, 10):  # noqa: UP036 - older ones run this file too
    sys.exit(
        "Python 3.10 or newer is needed, this is "
        + sys.version.split()[0]
        + ": name another, as in make PYTHON=python3.12"
    )
