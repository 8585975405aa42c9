"""Where stages run: which runner, engine and service each of them gets.

In the order of who wins: the command line (`--runner`, `--host`), `runner.stages` and `runner.use` in detector.toml.
"""

from __future__ import annotations

import platform
from dataclasses import dataclass, field
from pathlib import Path
from typing import Dict, Mapping, Optional, Tuple

from nanoforge.config.schema import RUNNERS, Config, HostSection
from nanoforge.console import Console
from nanoforge.containers import jetpack
from nanoforge.containers.compose import variables
from nanoforge.containers.connection import Daemon, answers, connect
from nanoforge.containers.container import sweep
from nanoforge.errors import BadInput
from nanoforge.pipeline.stages import STAGES
from nanoforge.runners.contract import Runner
from nanoforge.runners.docker import OWNER, DockerRunner
from nanoforge.runners.local import LocalRunner

AUTO, DOCKER, LOCAL = RUNNERS


@dataclass(frozen=True)
class PlacementOverride:
    """What the command line says: ``runner`` for all stages, ``hosts`` stage -> name of a host."""

    runner: str = ""
    hosts: Mapping[str, str] = field(default_factory=dict)


NO_OVERRIDE = PlacementOverride()
"""The command line says nothing."""


class Placement:
    """Gives every stage its runner; engines are connected when the first stage needs them.

    Raises:
        BadInput: a runner or host that does not exist.
    """

    def __init__(self, config: Config, console: Console, where: PlacementOverride) -> None:
        self._config = config
        self._console = console
        self._where = where
        self._engines: Dict[str, Optional[Daemon]] = {}
        self._runners: Dict[Tuple[str, str], Runner] = {}
        _check(config, where)

    def runner(self, stage: str, environment: str, gpu: bool = False) -> Runner:
        """The runner of a stage; ``gpu`` where it has use for one."""
        place = self.place(stage)
        service = environment if place == LOCAL else self._service(stage, place, environment, gpu)
        if (place, service) not in self._runners:
            self._runners[place, service] = self._new(place, service)
        return self._runners[place, service]

    def place(self, stage: str) -> str:
        """`local`, `docker` or the name of a host."""
        stated = self._where.hosts.get(stage) or self._where.runner
        wanted = stated or self._config.runner.stages.get(stage) or self._config.runner.use
        if wanted != AUTO:
            return wanted
        return DOCKER if self._engine(DOCKER, required=False) else LOCAL

    def engine(self, place: str) -> Daemon:
        """The engine at a place.

        Raises:
            EnvironmentNotReady: none answers there.
        """
        engine = self._engine(place, required=True)
        assert engine is not None
        return engine

    def sweep(self, owner: str) -> None:
        """Remove the containers that an earlier command of ``owner`` left behind when it crashed."""
        for engine in self._engines.values():
            if engine:
                sweep(engine, {OWNER: owner})

    def close(self) -> None:
        for engine in self._engines.values():
            if engine:
                engine.close()

    def _service(self, stage: str, place: str, environment: str, gpu: bool) -> str:
        if place != DOCKER:
            return self._environment_there(stage, place, environment)
        return f"{environment}-gpu" if gpu and self._config.runner.gpu else environment

    def _environment_there(self, stage: str, host: str, environment: str) -> str:
        stated = self._config.hosts[host].environment or environment
        if stated not in (environment, *STAGES[stage].also):
            raise BadInput(
                f"{stage} needs environment {environment}, but hosts.{host}.environment is {stated}: run it on another"
                " machine, or give that one a second name in [hosts] without `environment`."
            )
        return stated

    def _new(self, place: str, service: str) -> Runner:
        if place == LOCAL:
            return LocalRunner(service, self._console, self._config.runner.python36)
        host = self._config.hosts.get(place, HostSection())
        return DockerRunner(self.engine(place), service, base_variables(service, host.l4t), self._console)

    def _engine(self, place: str, required: bool) -> Optional[Daemon]:
        if self._engines.get(place) is None:
            if place != DOCKER:
                self._engines[place] = connect(place, self._config.hosts[place].docker)
            elif required:
                self._engines[place] = connect()
            elif place not in self._engines:
                self._engines[place] = answers()
        return self._engines[place]


def base_variables(service: str, l4t: str) -> Dict[str, str]:
    """The base image of the jetson service, from the device's L4T, unless the user named one."""
    known = variables()
    if service != "jetson" or known.get("JETSON_BASE"):
        return {}
    release = l4t or jetpack.device_l4t()
    if not release:
        raise BadInput(
            "The L4T of the Jetson is not known: set hosts.NAME.l4t in detector.toml to what `head -1"
            " /etc/nv_tegra_release` says there, such as 32.7.1."
        )
    found = jetpack.release_of(release)
    return {"JETSON_BASE": found.base, "JETSON_BASE_DIGEST": found.base_digest}


def _check(config: Config, where: PlacementOverride) -> None:
    if where.runner and where.runner not in RUNNERS:
        raise BadInput(f"--runner {where.runner}: expected one of {', '.join(RUNNERS)}.")
    unknown = sorted({*config.runner.stages} - {*STAGES})
    if unknown:
        raise BadInput(f"runner.stages names {', '.join(unknown)}, which is no stage; stages are {', '.join(STAGES)}.")
    for host in where.hosts.values():
        if host not in config.hosts:
            known = ", ".join(config.hosts) or 'none: add [hosts.NAME] with docker = "ssh://user@host"'
            raise BadInput(f"--host {host}: detector.toml has no [hosts.{host}]; hosts are {known}.")


def owner_of(folder: Path) -> str:
    """Who containers and volumes belong to: a project on this machine."""
    return f"{platform.node()}:{folder}"
