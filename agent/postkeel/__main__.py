"""`python3 -m postkeel`."""

import sys

from postkeel.cli import main

sys.exit(main())
