"""`python -m snnet` is the command line."""

import sys

from snnet.cli import main

sys.exit(main())
