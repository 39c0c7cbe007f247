"""`lnhg batch`. Exit codes beside the usual ones: 3 some scans failed, 2 none could be used."""

from __future__ import annotations

import argparse
import logging
import time
from contextlib import closing
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import Cancelled, InputError
from ..options import MOST_THREADS
from .arguments import add_options, options_of
from .common import MOST_WORKERS, add_command, count, minutes, print_files, print_json, shown

if TYPE_CHECKING:
    from distributed import Client

    from ..cohort.scans import Scan
    from ..cohort.segmenting import Cohort, Row

logger = logging.getLogger(__name__)

# Options that make sense for a single scan only, and the one that is said otherwise for a cohort.
_NOT_FOR_ALL = ("seeds_only", "threads")


def add(commands: Any) -> None:
    parser = add_command(
        commands, "batch", _batch, "segment many scans, on this machine or a Dask cluster, and go on later"
    )
    parser.add_argument(
        "inputs",
        nargs="+",
        metavar="INPUT",
        help="folder (every image file and CT series in it), image file, glob, or CSV with a column ct (and name, "
        "series, patient, days: scans of one patient are followed, earliest first)",
    )
    parser.add_argument(
        "--output", type=Path, required=True, help="folder for the cohort; finished scans in it are kept"
    )
    parser.add_argument(
        "--scheduler", metavar="ADDRESS", help="Dask scheduler, such as tcp://host:8786 (default: own workers)"
    )
    parser.add_argument(
        "--workers", type=count(MOST_WORKERS), help="scans at a time on this machine (default: from cores and memory)"
    )
    parser.add_argument(
        "--threads", type=count(MOST_THREADS), help="CPU threads a scan (default: cores / workers; 1 with --scheduler)"
    )
    parser.add_argument(
        "--time-limit",
        type=minutes,
        metavar="MINUTES",
        default=60.0,
        help="a scan that takes longer is given up (default: 60)",
    )
    parser.add_argument("--json-progress", action="store_true", help="one JSON object per line instead of a bar")
    parser.add_argument("--with-identity", action="store_true", help="write path, UIDs and patient into the results")
    add_options(parser, but=_NOT_FOR_ALL)


def _batch(arguments: argparse.Namespace) -> None:
    options = options_of(arguments, but=_NOT_FOR_ALL)
    import distributed  # if it is missing, that is told before a search of hours

    logging.getLogger(distributed.__name__).setLevel(logging.WARNING)  # workers that come and go are no news
    from ..cohort.scans import find_scans
    from ..progress import Progress

    with shown(arguments.json_progress) as progress:
        scans = find_scans(arguments.inputs, arguments.output, lambda share: progress(Progress("find", share, None)))
    logger.info("%d scans found", len(scans))
    from ..cohort.segmenting import Cohort, client_of, local_client, shared_out
    from ..core.lock import locked

    if arguments.scheduler:
        threads, opened = arguments.threads or 1, client_of(arguments.scheduler)
    else:
        workers, threads = shared_out(len(scans), arguments.workers, arguments.threads)
        opened = local_client(workers)
    cohort = Cohort.checked(arguments.output, replace(options, threads=threads), arguments.with_identity)
    with locked(arguments.output, "batch"), opened as client:
        logger.info("%s, %d threads a scan", client, threads)
        _run(client, scans, cohort, arguments.json_progress, arguments.time_limit)


def _run(client: Client, scans: list[Scan], cohort: Cohort, as_json: bool, limit: float) -> None:
    from tqdm.contrib.logging import logging_redirect_tqdm

    from ..cohort.patients import Followed, follow_patients
    from ..cohort.segmenting import seconds_left, segment_cohort, write_tables
    from ..progress import Progress

    rows: dict[str, Row] = {}
    followed = Followed()
    try:
        rows_of = segment_cohort(client, scans, cohort, limit)
        with shown(as_json) as progress, logging_redirect_tqdm(), closing(rows_of) as ended:
            began = time.monotonic()
            for row in ended:
                rows[row.scan] = row
                if as_json:
                    print_json(asdict(row))
                _tell(row, f"{len(rows)}/{len(scans)}")
                left = seconds_left(rows.values(), len(scans), time.monotonic() - began)
                progress(Progress(f"{len(rows)}/{len(scans)}", len(rows) / len(scans), left))
        followed = follow_patients(scans, rows, cohort)
    except KeyboardInterrupt:
        raise Cancelled(
            f"The run was cancelled after {len(rows)} of {len(scans)} scans; the same command goes on."
        ) from None
    finally:
        paths = write_tables(scans, rows, cohort, followed.folders, followed.reasons)
    _conclude(rows, paths, as_json)


def _tell(row: Row, count: str) -> None:
    """A line in the log: a failure always, the others with --verbose."""
    level = logging.WARNING if row.reason else logging.INFO
    logger.log(
        level, "%s %s %s in %.0f s%s", count, row.scan, row.status, row.seconds, row.reason and f": {row.reason}"
    )


def _conclude(rows: dict[str, Row], paths: dict[str, Path], as_json: bool) -> None:
    """What came of the cohort; raises the error that its exit code comes from, if scans failed."""
    from ..cohort.segmenting import DONE, FAILED, SKIPPED, SomeFailed

    done, skipped, failed = (sum(row.status == status for row in rows.values()) for status in (DONE, SKIPPED, FAILED))
    if as_json:
        print_files(paths, as_json=True)
    else:
        print(f"{done} scans segmented, {skipped} were finished before, {failed} failed")
        print_files(paths)
    if failed == len(rows):
        raise InputError(f"None of {failed} scans could be used; {paths['record']} tells why.")
    if failed:
        raise SomeFailed(f"{failed} of {len(rows)} scans failed, the others are done; {paths['record']} tells why.")
