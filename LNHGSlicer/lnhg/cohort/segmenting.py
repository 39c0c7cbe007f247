"""A cohort of scans segmented on Dask: one scan at a time on each worker, every result on disk, rows alone travel back.

On one machine `local_client` starts the workers, which talk to each other over TLS with a certificate of this run
alone: other accounts of the machine can neither read nor give them work. On a cluster they are started apart, and `lnhg
batch --scheduler` is given their scheduler's address; all machines must see the scans, the results and the weights
under the same paths. With SLURM (pip install dask-jobqueue), in a Python session that stays open on the login node:

    from dask_jobqueue import SLURMCluster

    cluster = SLURMCluster(cores=1, job_cpu=4, memory="6GB", walltime="08:00:00")
    cluster.scale(jobs=50)
    print(cluster.scheduler_address)  # give this to --scheduler, with --threads 4
    input("Enter ends the cluster")

Each job is a worker of one Dask thread (`cores=1`), so that it takes one scan at a time; `job_cpu=4` books the
processors that `--threads 4` uses for it. Workers may come and go while a cohort runs. A scheduler of your own trusts
whoever reaches
it, and whoever reaches it runs what they like as you: on a network or a machine that others use, set up TLS in Dask's
configuration (distributed.comm.tls) for scheduler, workers and this command, and give the `tls://` address.
"""

from __future__ import annotations

import csv
import itertools
import logging
import os
import re
import shutil
import signal
import tempfile
import threading
import time
import uuid
from collections.abc import Collection, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, astuple, dataclass, fields, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .. import __version__
from ..core.atomic_file import whole
from ..core.csv_text import harmless, read_csv
from ..core.lobes import NO_LOBES
from ..core.manifest import weights_folder
from ..core.nodule import NOT_MEASURED
from ..core.seal import digest_of
from ..errors import InputError, LNHGError, WeightsError
from ..networks.models import Models, open_models
from ..options import Options
from ..pipeline import segment
from ..writers.own_files import DIGESTS, foreign_files, is_whole, record_of
from ..writers.results import FILES, check_folder, save
from ..writers.table import table_header
from .scans import Scan
from .worklist import WORKLIST_HEADER, in_order, worklist_row

if TYPE_CHECKING:
    from distributed import Client, Future

logger = logging.getLogger(__name__)

#: What can become of a scan: segmented now, found finished, not usable, or not reached by a run that was cancelled.
DONE, SKIPPED, FAILED, WAITING = "done", "skipped", "failed", "waiting"

#: Files and folders of a cohort; `scans` holds a folder for each scan, as `lnhg segment` writes it.
SCANS, TABLE, RECORD, WORKLIST = "scans", "nodules.csv", "cohort.csv", "worklist.csv"
# Folders that a run replaced though somebody had changed files in them.
_SET_ASIDE = "set-aside"
# How reasons tell of a series, with its description in brackets, and of what a file or a person said.
_DESCRIBED = re.compile(r"(series (?:without a number|\S+)) \((?:[^()]|\([^()]*\))*\)")
_QUOTED = re.compile(r"'[^']*'|\"[^\"]*\"")
# Results being made, out of sight of those that are whole.
_WORK = ".lnhg-work"

# Memory of a worker: about 2 GiB are used at 300 slices; longer scans need more.
_WORKER_BYTES = 3 << 30
# How often it is looked whether workers came or went, s, when no scan ends meanwhile.
_LOOK_S = 5.0
#: A scan that takes longer is given up, minutes.
TIME_LIMIT = 60.0
# How long a worker that is ended may take to start again, s.
_RESTART_S = 60
# How long a scheduler may take to answer, s.
_ANSWER_S = 10
# Options that do not tell results apart: those of speed, and the place of the weights, whose content does.
_NOT_SEALED = ("threads", "batch_size", "weights")
# In a scan's folder beside its results: what they were made from, by which a later run knows them.
_SEAL = ".finished"
# Files of a result that stay as they are when a reader tells answers or lobes later.
_LASTING = {FILES[name] for name in ("labels", "segmentation", "heterogeneity", "scene", "picture")}

# The networks of a worker move between devices and set threads: one scan at a time, whatever Dask's threads.
_one_scan = threading.Lock()


class SomeFailed(LNHGError):
    """Some scans of a cohort could not be used; the others are done."""

    exit_code = 3


@dataclass(frozen=True)
class Row:
    """What became of one scan: its name, `DONE`, `SKIPPED` or `FAILED`, why it failed, seconds spent on it in this
    run.
    """

    scan: str
    status: str
    reason: str
    seconds: float


@dataclass(frozen=True)
class Cohort:
    """What all scans of a run share.

    Attributes:
        output: folder of the cohort.
        options: as for a single scan; `threads` are those of one scan.
        weights: SHA-256 of the manifests of all networks, which hold those of the weights files.
        with_identity: whether path, UIDs and patient are written into the results.
    """

    output: Path
    options: Options
    weights: str
    with_identity: bool = False

    @classmethod
    def checked(cls, output: Path, options: Options, with_identity: bool = False) -> Cohort:
        """A cohort with the hash of its weights.

        Raises WeightsError for bad weights and InputError for a folder that cannot be written, before any scan is read.
        """
        _check_tables(output)
        models = open_models(options.weights, options.runtime, options.device)
        weights = digest_of(models.manifests)
        check_folder(output / SCANS)
        folder = options.weights and weights_folder(options.weights).absolute()
        return cls(output.absolute(), replace(options, weights=folder, runtime=models.runtime), weights, with_identity)

    def folder(self, scan: str) -> Path:
        """Where the results of the scan of this name are."""
        return self.output / SCANS / scan


def _check_tables(output: Path) -> None:
    """Raise InputError where a file has the name of a cohort's table and is none, but a list of scans or a data set's
    table.
    """
    if output.exists() and not output.is_dir():
        raise InputError(f"{output} is a file; choose a folder for the results.")
    for name, columns in (
        (TABLE, ["scan", *table_header()][:2]),
        (RECORD, [column.name for column in fields(Row)][:2]),
        (WORKLIST, [*WORKLIST_HEADER[:2]]),
    ):
        path = output / name
        if os.path.lexists(path) and (path.is_symlink() or read_csv(path)[0][:2] != columns):
            raise InputError(
                f"{path} would be replaced, but is no table of lnhg batch; move it away or choose another folder."
            )


# ---------------------------------------------------------------- on a worker


def segment_scan(scan: Scan, cohort: Cohort) -> Row:
    """Segment one scan and put its folder in place, whole; nothing is done where it holds what this run would write."""
    with _one_scan:
        began = time.perf_counter()
        try:
            status, reason = _segmented(scan, cohort), ""
        except LNHGError as error:
            status, reason = FAILED, str(error)
        except OSError as error:
            told = error.strerror or error
            reason = f"It could not be read or written ({told}); make room, or close what holds its files."
            status = FAILED
        except Exception as error:  # a fault of one scan must not end the cohort
            logger.exception("scan %s", scan.name)
            status, reason = FAILED, f"{type(error).__name__}: {error}"
        reason = " ".join(reason.replace(f"{scan.place.parent}{os.sep}", "").split())
        return Row(scan.name, status, reason, round(time.perf_counter() - began, 2))


def _segmented(scan: Scan, cohort: Cohort) -> str:
    ct = scan.read()
    folder, sha256 = cohort.folder(scan.name), str(ct.source["sha256"])
    if _is_sealed(folder, sha256, cohort):
        return SKIPPED
    if folder.exists() and not (folder / _SEAL).is_file():
        raise InputError(
            f"The folder {scan.name} in {SCANS} was not written by lnhg batch; move it away, or rename the scan."
        )
    if (made_by := (record_of(folder) or {}).get("provenance", {}).get("lnhg", __version__)) != __version__:
        logger.warning("%s was made by version %s; it is segmented anew.", scan.name, made_by)
    result = segment(ct, cohort.options, models=_models(cohort.options.weights, cohort.options.runtime, cohort.weights))
    with tempfile.TemporaryDirectory(dir=cohort.output / _WORK) as work:
        made = Path(work) / "made"
        save(result, made, with_identity=cohort.with_identity)
        (made / _SEAL).write_text(_seal(made, sha256, cohort))
        if folder.exists():
            folder.rename(_place_for_earlier(folder, Path(work), cohort))
        made.rename(folder)
    return DONE


def _place_for_earlier(folder: Path, work: Path, cohort: Cohort) -> Path:
    """Where the former results of a scan go: away, but aside where somebody put a file among them, changed one, or told
    answers or lobes.
    """
    names = {file.name for file in folder.iterdir()} - {_SEAL}
    if not foreign_files(folder, names) and names <= {*FILES.values()} and not _is_told(folder):
        return work / "earlier"
    aside = cohort.output / _SET_ASIDE
    aside.mkdir(exist_ok=True)
    place = next(place for n in itertools.count(1) if not (place := aside / f"{folder.name}-{n}").exists())
    logger.warning("The results in %s hold what somebody changed or told since; they are kept in %s.", folder, place)
    return place


def _is_told(folder: Path) -> bool:
    """Whether a reader told answers or lobes after the results were written; a batch itself tells none."""
    record = record_of(folder) or {}
    lobes = {row.get("lobe") or NOT_MEASURED for row in record.get("nodules", [])}
    return any(record.get("answers", {}).values()) or not lobes <= {NOT_MEASURED, NO_LOBES}


def _is_sealed(folder: Path, sha256: str, cohort: Cohort) -> bool:
    """Whether the folder holds what this run would write, beside what a reader told later, and nobody wrote other
    results into it since.
    """
    if not is_whole(folder):
        return False
    try:
        return (folder / _SEAL).read_text(encoding="utf-8") == _seal(folder, sha256, cohort)
    except (OSError, UnicodeDecodeError):
        return False


def _seal(folder: Path, sha256: str, cohort: Cohort) -> str:
    """Hash of what tells results apart (the CT by its hash, options, weights, version, columns) and of the files that
    no reader changes.
    """
    options = {name: value for name, value in asdict(cohort.options).items() if name not in _NOT_SEALED}
    run = [sha256, options, cohort.weights, cohort.with_identity, __version__, table_header()]
    record = record_of(folder)
    assert record is not None  # asked for whole results alone
    lasting = {name: digest for name, digest in record[DIGESTS].items() if name in _LASTING}
    return digest_of([*run, lasting])


@lru_cache(maxsize=1)
def _models(folder: Path | None, runtime: str, weights: str) -> Models:
    """The networks, loaded once a worker; again when other weights are asked for."""
    models = open_models(folder, runtime)
    if digest_of(models.manifests) != weights:
        raise WeightsError(
            "A worker sees other weights than the machine of the command; give --weights a folder both share."
        )
    return models


# ---------------------------------------------------------------- on the machine of the command


def shared_out(scans: int, workers: int | None = None, threads: int | None = None) -> tuple[int, int]:
    """Workers for so many scans on this machine, and CPU threads each; None: as cores and free memory allow, one to a
    GPU.
    """
    import psutil
    from dask.system import CPU_COUNT

    from ..networks.models import gpu_available

    if workers is None:
        memory = psutil.virtual_memory().available // _WORKER_BYTES
        most = 1 if gpu_available() else min(CPU_COUNT // (threads or 1), memory)
        workers = max(1, min(scans, most))
    return workers, threads or max(1, CPU_COUNT // workers)


@contextmanager
def local_client(workers: int) -> Iterator[Client]:
    """A client of so many workers, started on this machine and ended with the client; nobody else can talk to them."""
    import dask
    from distributed import Client, LocalCluster
    from distributed.security import Security
    from distributed.system import MEMORY_LIMIT

    # Dask's pages of status need no certificate and name the scans: none is served.
    no_pages: dict[str, list[str]] = {f"distributed.{part}.http.routes": [] for part in ("scheduler", "worker")}
    with (
        dask.config.set(no_pages),
        LocalCluster(
            n_workers=workers,
            threads_per_worker=1,
            memory_limit=MEMORY_LIMIT // workers,
            dashboard_address="127.0.0.1:0",
            scheduler_kwargs={"dashboard": False},
            security=Security.temporary(),
        ) as cluster,
        Client(cluster) as client,
    ):
        client.run(_ignore_interrupts)
        yield client


def _ignore_interrupts() -> None:
    # Ctrl-C reaches every process of the terminal; the command itself ends its workers.
    signal.signal(signal.SIGINT, signal.SIG_IGN)


@contextmanager
def client_of(scheduler: str) -> Iterator[Client]:
    """A client of a scheduler that runs elsewhere; raises InputError when it does not answer."""
    from distributed import Client

    try:
        client = Client(scheduler, timeout=_ANSWER_S)
    except (OSError, ValueError) as error:
        raise InputError(
            f"The scheduler {scheduler} does not answer ({error}); start it, or check its address."
        ) from error
    with client:
        yield client


def segment_cohort(
    client: Client, scans: Sequence[Scan], cohort: Cohort, limit: float = TIME_LIMIT
) -> Generator[Row, None, None]:
    """Segment the scans; yields a row for each as it ends, in no order. One that takes over `limit` minutes is failed.

    As many scans as there are workers are with Dask at a time. What a lost worker had in hand is done again by another;
    a scan that loses several workers one after the other is failed. Raises LNHGError when the scheduler is lost.
    """
    from distributed import CancelledError, TimeoutError, wait

    (cohort.output / SCANS).mkdir(parents=True, exist_ok=True)
    work = cohort.output / _WORK
    shutil.rmtree(work, ignore_errors=True)  # what a run that was killed left behind
    work.mkdir()
    run, waiting, in_hand, since = uuid.uuid4().hex[:8], list(reversed(scans)), dict[Any, Scan](), dict[Any, float]()
    try:
        while waiting or in_hand:
            while waiting and len(in_hand) < max(1, len(client.nthreads())):
                scan = waiting.pop()
                future = client.submit(segment_scan, scan, cohort, key=(f"scan-{run}", scan.name), pure=False)
                in_hand[future], since[future] = scan, time.monotonic()
            with suppress(TimeoutError):
                for future in wait(list(in_hand), timeout=_LOOK_S, return_when="FIRST_COMPLETED").done:
                    yield _row(future, in_hand.pop(future))
            for future in [one for one in in_hand if time.monotonic() - since[one] > 60 * limit]:
                _give_up(client, future)
                reason = f"It took longer than {limit:g} minutes and was given up; give more with --time-limit."
                yield Row(in_hand.pop(future).name, FAILED, reason, round(60 * limit, 2))
    except (CancelledError, OSError) as error:
        raise LNHGError(
            "The scheduler is lost; start it and run the same command again: finished scans are kept."
        ) from error
    finally:
        for future in in_hand:
            future.release()
        shutil.rmtree(work, ignore_errors=True)


def _give_up(client: Client, future: Future) -> None:
    """Let go of a scan, and start the worker anew that is busy with it: nothing else ends what it does."""
    busy = [worker for worker, keys in client.processing().items() if future.key in keys]
    future.cancel()
    try:
        client.restart_workers(busy, timeout=_RESTART_S, raise_for_error=False)
    except ValueError:  # it is in nobody's care (started without a nanny)
        logger.warning("The worker %s cannot be started anew; it may stay busy.", ", ".join(busy))


def _row(future: Future, scan: Scan) -> Row:
    from distributed import KilledWorker

    if future.status == "finished":
        return future.result()
    error = future.exception()
    if isinstance(error, KilledWorker):
        reason = f"It ended {error.allowed_failures + 1} workers; give them more memory (2 GiB for 300 slices)."
    else:
        reason = f"{type(error).__name__}: {error}"
    return Row(scan.name, FAILED, reason, 0.0)


def seconds_left(rows: Collection[Row], scans: int, elapsed: float) -> float | None:
    """Seconds until all scans have ended: those of a scan that was segmented, over the scans worked on at a time so
    far.

    Scans that were skipped or failed are quick and tell nothing of those to come.
    """
    slow = [row.seconds for row in rows if row.status == DONE]
    spent = sum(row.seconds for row in rows)
    if not slow or not elapsed:
        return None
    at_a_time = max(1.0, spent / elapsed)
    return (scans - len(rows)) * sum(slow) / len(slow) / at_a_time


def write_tables(
    scans: Sequence[Scan],
    rows: Mapping[str, Row],
    cohort: Cohort,
    followed: Mapping[str, Path] | None = None,
    reasons: Mapping[str, str] | None = None,
) -> dict[str, Path]:
    """Write the nodules of all scans, and what became of each scan (by its name in `rows`); returns name -> path.

    `followed` and `reasons` are those of `patients.Followed`: results with their comparison, or why there is none.
    Nodules and worklist are read from the same results: those with their comparison, where there is one.
    """
    ended = [rows.get(scan.name, Row(scan.name, WAITING, "", 0.0)) for scan in scans]
    usable = [row.scan for row in ended if row.status in (DONE, SKIPPED)]
    folders = {name: (followed or {}).get(name, cohort.folder(name)) for name in usable}
    with _whole_csv(cohort.output / TABLE) as table:
        table.writerow(["scan", *table_header()])
        for name, folder in folders.items():
            table.writerows([name, *map(harmless, cells)] for cells in _nodules(folder, name))
    with _whole_csv(cohort.output / RECORD) as record:
        record.writerow([*(column.name for column in fields(Row)), *(("ct", "series") if cohort.with_identity else ())])
        for scan, row in zip(scans, ended, strict=True):
            told = row if cohort.with_identity else replace(row, reason=_without_names(row.reason, scan))
            cells = [*astuple(told), *((str(scan.place), scan.series) if cohort.with_identity else ())]
            record.writerow(map(harmless, cells))
    with _whole_csv(cohort.output / WORKLIST) as worklist:
        worklist.writerow(WORKLIST_HEADER)
        for cells in in_order(_worklist(ended, scans, cohort, folders, reasons or {})):
            worklist.writerow(map(harmless, cells))
    return {name: cohort.output / file for name, file in (("table", TABLE), ("record", RECORD), ("worklist", WORKLIST))}


def _worklist(
    ended: Sequence[Row],
    scans: Sequence[Scan],
    cohort: Cohort,
    folders: Mapping[str, Path],
    reasons: Mapping[str, str],
) -> Iterator[list[Any]]:
    for scan, row in zip(scans, ended, strict=True):
        reason = row.reason if cohort.with_identity else _without_names(row.reason, scan)
        yield worklist_row(scan.name, row.status, reason, folders.get(scan.name), reasons.get(scan.name, ""))


def _without_names(reason: str, scan: Scan) -> str:
    """A reason without what may name a person: names of files, descriptions of series, and what is quoted."""
    names = {scan.place.name, *(name for folder in (scan.place, *scan.folders) for name in _names_in(folder))}
    for name in sorted(names, key=len, reverse=True):
        reason = reason.replace(name, "a file")
    reason = _DESCRIBED.sub(r"\1", reason)
    reason = _QUOTED.sub("...", reason)
    return reason[:1].upper() + reason[1:]


def _names_in(folder: Path) -> list[str]:
    try:
        return [file.name for file in folder.iterdir()] if folder.is_dir() else []
    except OSError:
        return []


def _nodules(folder: Path, scan: str) -> list[list[str]]:
    """The rows of a scan's table; none, with a word in the log, where somebody took it away meanwhile."""
    try:
        with (folder / FILES["table"]).open(newline="", encoding="utf-8") as file:
            return list(csv.reader(file))[1:]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        logger.warning("The nodules of %s are missing in %s: its table cannot be read (%s).", scan, TABLE, error)
        return []


@contextmanager
def _whole_csv(path: Path) -> Iterator[Any]:
    """A writer of a CSV that takes its place at the end, whole."""
    with whole(path) as partial, partial.open("w", newline="", encoding="utf-8") as file:
        yield csv.writer(file)
