"""The core that the labs share: training loop, devices, data, metrics, runs."""

import sys

if sys.version_info < (3, 11):
    sys.exit(
        "This toolkit needs Python 3.11 or newer; this is Python %d.%d." % sys.version_info[:2]
    )
