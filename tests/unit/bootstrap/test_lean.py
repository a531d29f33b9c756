"""What server processes do not load."""

import subprocess
import sys

NEEDLESS = "alembic", "mako", "rich", "pygments"


def test_what_serves_loads_nothing_that_only_commands_and_migrations_need():
    program = (
        "import sys\n"
        "import entrepot.cli.main, entrepot.cli.serve, entrepot.bootstrap.processes\n"
        f"print(*(name for name in {NEEDLESS} if name in sys.modules))\n"
        "import rich.table\n"  # whoever draws tables still can
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == []
