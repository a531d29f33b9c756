"""`python -m bench`: install the peers, measure, print the table, write bench/out/."""

import argparse
import datetime as dt
import resource
import shutil
import signal
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bench import report
from bench.certificate import make_certificate
from bench.figures import MIB, rows
from bench.groups import GROUPS
from bench.lines import GROUPS as GROUP_NAMES
from bench.lines import chosen
from bench.products import BINARIES, CACHE, PEERS, ROOT, Entrepot, Product, Unavailable
from bench.run import QUICK, Run, Settings

OUT = ROOT / "bench" / "out"
QUIET_SHARE = 0.1  # the kernel's write-back takes some in uploads


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument(
        "--lines",
        default="",
        help=f"names, shell patterns or groups ({', '.join(GROUP_NAMES)}), by comma",
    )
    parser.add_argument(
        "--rounds",
        type=int,
        help="alternating rounds (3); the crowd has one unless --crowd-rounds says more",
    )
    parser.add_argument("--seconds", type=float, help="length of a turn (3)")
    parser.add_argument(
        "--peers",
        default=",".join(PEERS),
        help="which peers, by comma; empty for none (default: %(default)s)",
    )
    parser.add_argument("--without-us", action="store_true", help="only the peers")
    parser.add_argument("--crowd-clients", type=int, help="clients of the crowd (1000)")
    parser.add_argument("--crowd-mib", type=int, help="MiB each client of the crowd pulls (64)")
    parser.add_argument("--crowd-rounds", type=int, help="rounds of the crowd (1)")
    parser.add_argument("--tags", type=int, help="tags of the list lines (1000000)")
    parser.add_argument("--repositories", type=int, help="repositories of the catalog (100000)")
    parser.add_argument("--referrers", type=int, help="referrers of one image (10000)")
    parser.add_argument(
        "--pushed",
        type=int,
        help="as many of each, where no bulk loader makes them but pushes (1000)",
    )
    parser.add_argument(
        "--quick",
        action="store_true",
        help="a smoke test of all lines in under a minute; figures mean nothing",
    )
    return parser.parse_args()


def settings(given: argparse.Namespace) -> Settings:
    """The settings with what the command line says over them."""
    base = QUICK if given.quick else Settings()
    sizes = ("tags", "repositories", "referrers", "pushed")
    named = ("rounds", "seconds", "crowd_clients", "crowd_rounds", *sizes)
    said = {name: getattr(given, name) for name in named if getattr(given, name) is not None}
    if given.crowd_mib is not None:
        said["crowd_size"] = given.crowd_mib * MIB
    return replace(base, **said)


def products(given: argparse.Namespace) -> tuple[list[Product], dict[str, str]]:
    """What can be had, and the version, or the reason why not, of everything that was asked for."""
    names = [name for name in given.peers.split(",") if name]
    unknown = [name for name in names if name not in PEERS]
    if unknown:
        sys.exit(f"no peer {unknown[0]!r}; known: {', '.join(PEERS)}")
    wanted: list[Product] = [PEERS[name]() for name in names]
    if not given.without_us:
        wanted.append(Entrepot())
    there, versions = [], {}
    for product in wanted:
        try:
            versions[product.name] = product.install()
            there.append(product)
        except Unavailable as reason:
            versions[product.name] = f"SKIPPED: {reason}"
            print(f"{product.name} is skipped: {reason}", file=sys.stderr)
    return there, versions


def show(run: Run) -> None:
    """The overview on the terminal."""
    header, body = report.overview(rows(run.readings))
    table = Table(*header)
    for cells in body:
        table.add_row(*cells)
    console = Console(width=None if sys.stdout.isatty() else 200)
    console.print(table)
    for note in run.notes:
        console.print(note, highlight=False)


def main() -> None:
    """Measure what was asked for."""
    given = arguments()
    try:
        lines = chosen(given.lines)
    except ValueError as error:
        sys.exit(str(error))
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    signal.signal(
        signal.SIGTERM, signal.default_int_handler
    )  # stop servers and report, as on Ctrl-C
    BINARIES.mkdir(parents=True, exist_ok=True)
    there, versions = products(given)
    facts = report.machine()
    folder = Path(tempfile.mkdtemp(prefix="run-", dir=CACHE))
    run = Run(settings(given), there, lines, folder, make_certificate(folder))
    try:
        for name, measure in GROUPS.items():
            if run.of_group(name):
                print(f"{name}:", file=sys.stderr, flush=True)
                measure(run)
    except KeyboardInterrupt:
        run.notes.append("Interrupted: the report is not complete.")
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    finish(run, versions, facts)


def finish(run: Run, versions: dict[str, str], facts: dict[str, str]) -> None:
    """Print and write the report."""
    disturbed = [each for each in run.readings if each.values.get("others_share", 0) > QUIET_SHARE]
    if disturbed:
        worst = max(each.values["others_share"] for each in disturbed)
        run.notes.append(
            f"NOT A QUIET MACHINE: in {len(disturbed)} of {len(run.readings)} turns other processes used more than "
            f"{QUIET_SHARE:.0%} of the cores' time (at worst {worst:.0%}). Take figures and ratios of this run as indications."
        )
    command = " ".join(["python -m bench", *sys.argv[1:]])
    OUT.mkdir(parents=True, exist_ok=True)
    stem = OUT / f"{dt.datetime.now(dt.UTC):%Y-%m-%dT%H%M%S}"
    stem.with_suffix(".json").write_bytes(report.document(run, versions, facts, command))
    stem.with_suffix(".md").write_text(report.markdown(run, versions, facts, command))
    show(run)
    for name, version in versions.items():
        print(f"{name}: {version}")
    print(f"written: {stem.relative_to(ROOT)}.md and .json")


if __name__ == "__main__":
    main()
