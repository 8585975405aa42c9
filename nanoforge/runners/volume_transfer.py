"""A stage's folders at the far end of a connection, where the daemon does not see this machine's files: as volumes.

Inputs are sent into volumes named by their contents' digest, so what the far end has is not sent again; the output is
sent back once the stage has ended. Every file is compared by digest, taken at both ends.
"""

from __future__ import annotations

import json
import tarfile
import threading
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, Dict, Iterable, Iterator, List, Mapping, NamedTuple

from nanoforge.containers import volumes
from nanoforge.containers.container import remove
from nanoforge.containers.daemon import OWNER, Container, Daemon, Folder, speaking
from nanoforge.containers.volumes import Carrier, Content, FarFile, Sent
from nanoforge.errors import DaemonLost, Interrupted, NanoforgeError
from nanoforge.files.atomic import write_json
from nanoforge.files.digests import listing_digest, sha256_file, sha256_text
from nanoforge.runners.bind_mounts import CODE, INPUTS, OUTPUT, SCRATCH, declared_folders, job_inputs
from nanoforge.runners.contract import FINDINGS, EventSink, Listener, StageInput, StageRun
from nanoforge.stop import Stop

JOB = f"{SCRATCH}/job.json"
ROLE = "nanoforge.role"
INPUT, OUTPUT_ROLE, SCRATCH_ROLE = "input", "output", "scratch"
# How long the next piece of a transfer may take once it was asked to end.
GIVE_UP_S = 3.0


class Shipment(NamedTuple):
    """A volume that is filled from here: its name, place in the container, and contents."""

    volume: str
    target: str
    content: Content


class VolumeTransfer:
    """The volumes of one run; entering it sends what the far end lacks.

    Attributes:
        done_before: whether an earlier try came to its end there, so that only its output has to be fetched.
        job_path: the job file in the container.
        mounts: what the container sees.
    """

    job_path = JOB

    def __init__(
        self, run: StageRun, container: Container, cpus: int, daemon: Daemon, sink: EventSink, stop: Stop
    ) -> None:
        self._container = container
        self._run = run
        self._cpus = cpus
        self._daemon = daemon
        self._sink = sink
        self._stop = stop
        self._shipments = [*_code(run, container), *_inputs(run)]
        self._outcome_file = run.scratch / "outcome.json"
        work = sha256_text(run.work_id)[:20]
        self._output, self._scratch = f"nanoforge-{work}-output", f"nanoforge-{work}-scratch"
        self.mounts = self._mounts(inputs_read_only=True)
        self._carrier = Carrier(daemon, "", int(container.service.user.split(":")[0]))

    def _mounts(self, inputs_read_only: bool) -> List[Folder]:
        return [
            *(Folder(shipment.volume, shipment.target, inputs_read_only) for shipment in self._shipments),
            Folder(self._output, OUTPUT, read_only=False),
            Folder(self._scratch, SCRATCH, read_only=False),
        ]

    @property
    def done_before(self) -> bool:
        return self._outcome_file.is_file()

    def __enter__(self) -> VolumeTransfer:
        if not (self.done_before and volumes.exists(self._daemon, self._output)):
            self._outcome_file.unlink() if self.done_before else None
            volumes.discard(self._daemon, self._output)
        new = {shipment.volume: self._ensure(shipment.volume, INPUT) for shipment in self._shipments}
        self._ensure(self._scratch, SCRATCH_ROLE)
        self._ensure(self._output, OUTPUT_ROLE)
        with speaking(self._daemon, "preparing the transfer"):
            identity = self._daemon.create(replace(self._container, folders=self._mounts(False), command=["true"]))
        self._carrier = self._carrier._replace(identity=identity)
        try:
            self._send(new)
            if not self.done_before:
                job = self._run.job(job_inputs(self._run), OUTPUT, SCRATCH, self._cpus)
                volumes.write(self._carrier, SCRATCH, {"job.json": job.encode("utf-8")})
        except BaseException:
            remove(self._daemon, self._carrier.identity)
            raise
        return self

    def __exit__(self, *_: object) -> None:
        remove(self._daemon, self._carrier.identity)

    def _ensure(self, volume: str, role: str) -> bool:
        return volumes.ensure(self._daemon, volume, {ROLE: role, OWNER: self._run.owner})

    def _send(self, new: Mapping[str, bool]) -> None:
        """Fill the volumes that are not whole, and prove them."""
        lacking = [
            shipment
            for shipment in self._shipments
            if new[shipment.volume] or not volumes.marked(self._carrier, shipment.target)
        ]
        if not lacking:
            return
        begun = [shipment.target for shipment in lacking if not new[shipment.volume]]
        there = self._listing(begun) if begun else {}
        on_sent = self._progress("sending", sum(shipment.content.size() for shipment in lacking))
        expected: Dict[str, Dict[str, FarFile]] = {}
        for shipment in lacking:
            target, content = shipment.target, shipment.content
            with self._giving_up():
                expected[target] = volumes.send(self._carrier, target, content, there.get(target, {}), on_sent)
        arrived = self._listing(expected)
        for target, files in expected.items():
            volumes.check(f"The copy at {target}", files, arrived[target])
            volumes.write(self._carrier, target, {volumes.MARK: b"proven\n"})

    def _listing(self, targets: Iterable[str]) -> Dict[str, Dict[str, FarFile]]:
        return volumes.listing(self._daemon, replace(self._container, folders=self.mounts), targets, self._stop)

    @contextmanager
    def _giving_up(self) -> Iterator[None]:
        """Let a request to end reach a transfer that hangs too: it loses its connection, where its next piece is late.

        Raises:
            Interrupted: it was asked to end.
        """
        hanging = threading.Timer(GIVE_UP_S, self._daemon.close)
        hanging.daemon = True
        self._stop.by(hanging.start)
        try:
            yield
        except DaemonLost:
            self._refuse_to_go_on()
            raise
        finally:
            self._stop.by(lambda: None)
            hanging.cancel()

    def _refuse_to_go_on(self) -> None:
        if self._stop.asked:
            raise Interrupted(f"{self._run.stage} was interrupted; the same command goes on from there.")

    def _progress(self, verb: str, total: int) -> Sent:
        """Adds up bytes and tells how far a transfer is, in MiB; ends it where that was asked for."""
        done = 0

        def moved(count: int) -> None:
            nonlocal done
            done += count
            self._sink.on_progress(round(done / 2**20, 1), round(total / 2**20, 1), f"MiB {verb}")
            self._refuse_to_go_on()

        return moved

    def head(self, _service: str, _container: Container) -> List[str]:
        """The log's first line: where this ran."""
        return [f"# On {self._daemon.name}, in volumes {self._output} and {self._scratch}."]

    def bring_back(self, listener: Listener) -> None:
        """Fetch the output, compare it, and remove the volumes of this work and inputs that it did not use."""
        if not self.done_before:
            self._note_outcome(listener)
        outcome: Dict[str, Any] = json.loads(self._outcome_file.read_text(encoding="utf-8"))
        listener.outcome.metrics.update(outcome["metrics"])
        listener.outcome.warnings[:] = outcome["warnings"]
        expected = {name: FarFile(*file) for name, file in outcome["files"].items()}
        on_got = self._progress("fetching", sum(file.size for file in expected.values()))
        with self._giving_up():
            volumes.fetch(self._carrier, OUTPUT, self._run.output, expected, on_got)
        remove(self._daemon, self._carrier.identity)
        self._tidy()

    def bring_findings(self) -> None:
        """Fetch what a stage had found when it failed, if it can be had: why it failed is told in any case."""
        with suppress(NanoforgeError, OSError, tarfile.TarError), self._giving_up():
            found = volumes.read(self._carrier, f"{SCRATCH}/{FINDINGS}")
            if found:
                (self._run.scratch / FINDINGS).write_bytes(found)

    def _note_outcome(self, listener: Listener) -> None:
        """Keep what the stage said, so that a connection lost while fetching costs another fetch, not another run."""
        outcome = {
            "metrics": listener.outcome.metrics,
            "warnings": listener.outcome.warnings,
            "files": self._listing([OUTPUT])[OUTPUT],
        }
        write_json(self._outcome_file, outcome)

    def _tidy(self) -> None:
        mine = volumes.having(self._daemon, {OWNER: self._run.owner, ROLE: INPUT})
        used = {shipment.volume for shipment in self._shipments}
        for volume in [self._output, self._scratch, *(name for name in mine if name not in used)]:
            volumes.discard(self._daemon, volume)


def _code(run: StageRun, container: Container) -> List[Shipment]:
    """compose.yml mounts the stages' code from the clone; over there it is a volume like an input."""
    shipments = []
    for folder in declared_folders(container.service):
        content = Content(Path(folder.source), CODE)
        shipments.append(Shipment(_volume_name(run, _digest(content)), folder.target, content))
    return shipments


def _inputs(run: StageRun) -> List[Shipment]:
    return [
        Shipment(
            _volume_name(run, f"{source.digest or _digest(_content(source))} {source.path.name}"),
            f"{INPUTS}/{name}",
            _content(source),
        )
        for name, source in run.inputs.items()
    ]


def _content(source: StageInput) -> Content:
    return Content(source.path, source.selection)


def _digest(content: Content) -> str:
    return listing_digest({name: sha256_file(path) for name, path in content.files().items()})


def _volume_name(run: StageRun, contents: str) -> str:
    return f"nanoforge-input-{sha256_text(f'{run.owner} {contents}')[:24]}"
