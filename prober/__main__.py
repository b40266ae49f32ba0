"""`python -m prober`."""

from prober.cli.main import main

raise SystemExit(main())
