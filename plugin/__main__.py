"""The component package: `packages: {service-failover: <path of this directory>}` in the Pulumi.yaml of a program in any language."""

import sys
from pathlib import Path

# The packages are beside this directory; they need not be installed.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from service_failover.hosting import serve

if __name__ == "__main__":
    serve()
