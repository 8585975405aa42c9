"""Where stages run: which runner, daemon and service each of them gets.

In the order of who wins: the command line (`--runner`, `--host`), `runner.stages` and `runner.use` in detector.toml.
"""

from __future__ import annotations

import platform
from dataclasses import dataclass, field
from pathlib import Path
from typing import Dict, Iterable, Mapping, Optional, Sequence, Tuple

from nanoforge.config.schema import RUNNERS, Config, HostSection
from nanoforge.console import Console
from nanoforge.containers import compose
from nanoforge.containers.connection import answers, connect
from nanoforge.containers.container import sweep_left_over
from nanoforge.containers.daemon import Daemon
from nanoforge.containers.jetpack import base_variables, is_jetson
from nanoforge.errors import BadInput, EnvironmentNotReady
from nanoforge.runners.contract import Limits, Runner

AUTO, DOCKER, LOCAL = RUNNERS


@dataclass(frozen=True)
class PlacementOverride:
    """What the command line says: ``runner`` for all stages, ``hosts`` stage -> name of a host."""

    runner: str = ""
    hosts: Mapping[str, str] = field(default_factory=dict)


NO_OVERRIDE = PlacementOverride()
"""The command line says nothing."""


class Placement:
    """Gives every stage its runner; daemons are connected when the first stage needs them.

    Raises:
        BadInput: a runner or host that does not exist.
    """

    def __init__(self, config: Config, console: Console, override: PlacementOverride) -> None:
        self._config = config
        self._console = console
        self._override = override
        self._daemons: Dict[str, Optional[Daemon]] = {}
        self._runners: Dict[Tuple[str, str], Runner] = {}
        _check(config, override)

    @property
    def limits(self) -> Limits:
        """What a stage may use."""
        return Limits(self._config.runner.cpus, self._config.runner.memory_mb)

    def runner(self, stage: str, environment: str, gpu: bool = False, also: Sequence[str] = ()) -> Runner:
        """The runner of a stage.

        Args:
            environment: what it needs.
            gpu: whether it has use for one.
            also: other environments that hold all it needs, for hosts.

        Raises:
            EnvironmentNotReady: no daemon answers there, or it needs a Jetson, and this is none.
        """
        place = self.place(stage)
        self.check_machine(stage, environment)
        service = environment
        if place == DOCKER and gpu and self._config.runner.gpu:
            service = compose.facts(environment).gpu or environment
        elif place not in (DOCKER, LOCAL):
            service = self._environment_there(stage, place, environment, also)
        if (place, service) not in self._runners:
            self._runners[place, service] = self._new(place, service)
        return self._runners[place, service]

    def place(self, stage: str) -> str:
        """`local`, `docker` or the name of a host."""
        stated = self._override.hosts.get(stage) or self._override.runner
        wanted = stated or self._config.runner.stages.get(stage) or self._config.runner.use
        if wanted != AUTO:
            return wanted
        return DOCKER if self.usual_daemon() else LOCAL

    def check_machine(self, stage: str, environment: str) -> None:
        """An environment whose base is a Jetson's own is on hosts and on a Jetson only.

        Raises:
            EnvironmentNotReady: the stage is to run in one on this machine, which is none.
        """
        place = self.place(stage)
        if place in (DOCKER, LOCAL) and compose.facts(environment).device_base and not is_jetson(place == DOCKER):
            raise EnvironmentNotReady(
                f"{stage} needs a Jetson: name one with --host (docs/remote.md), or run it on the board itself"
                " (docs/jetpack.md)."
            )

    def daemon(self, place: str) -> Daemon:
        """The daemon at a place.

        Raises:
            EnvironmentNotReady: none answers there.
        """
        daemon = self._daemon(place, required=True)
        assert daemon is not None
        return daemon

    def usual_daemon(self) -> Optional[Daemon]:
        """The daemon that is no host's, where one answers."""
        return self._daemon(DOCKER, required=False)

    def check_stages(self, known: Iterable[str]) -> None:
        """``runner.stages`` may name stages only.

        Raises:
            BadInput: it names something else.
        """
        unknown = sorted({*self._config.runner.stages} - {*known})
        if unknown:
            raise BadInput(f"runner.stages names unknown stage {', '.join(unknown)}; stages are {', '.join(known)}.")

    def sweep(self, owner: str) -> None:
        """Remove the containers that earlier commands of ``owner`` left behind when they crashed."""
        for daemon in self._daemons.values():
            if daemon:
                sweep_left_over(daemon, owner)

    def _environment_there(self, stage: str, host: str, environment: str, also: Sequence[str]) -> str:
        stated = self._config.hosts[host].environment or environment
        if stated not in (environment, *also):
            raise BadInput(
                f"{stage} needs environment {environment}, but hosts.{host}.environment is {stated}: run it on another"
                " machine, or give that one a second name in [hosts] without `environment`."
            )
        return stated

    def _new(self, place: str, service: str) -> Runner:
        # A runner's libraries are imported with the first that is needed, so that looking at a project does not wait.
        if place == LOCAL:
            from nanoforge.runners.local import LocalRunner

            return LocalRunner(compose.local_environment(service), self._console, self._config.runner.python36)
        from nanoforge.runners.docker import DockerRunner

        host = self._config.hosts.get(place, HostSection())
        return DockerRunner(self.daemon(place), service, base_variables(service, host.l4t), self._console)

    def _daemon(self, place: str, required: bool) -> Optional[Daemon]:
        if self._daemons.get(place) is None:
            if place != DOCKER:
                self._daemons[place] = connect(place, self._config.hosts[place].docker)
            elif required:
                self._daemons[place] = connect()
            elif place not in self._daemons:
                self._daemons[place] = answers()
        return self._daemons[place]


def _check(config: Config, override: PlacementOverride) -> None:
    if override.runner and override.runner not in RUNNERS:
        raise BadInput(f"--runner {override.runner}: expected one of {', '.join(RUNNERS)}.")
    for name, host in config.hosts.items():
        if host.environment and host.environment not in compose.environments():
            known = ", ".join(compose.environments())
            raise BadInput(
                f"hosts.{name}.environment = {host.environment!r}: unknown environment; environments are {known}."
            )
    for name in override.hosts.values():
        if name not in config.hosts:
            known = ", ".join(config.hosts) or 'none: add [hosts.NAME] with docker = "ssh://user@host"'
            raise BadInput(f"--host {name}: detector.toml has no [hosts.{name}]; hosts are {known}.")


def owner_of(folder: Path) -> str:
    """Who containers and volumes belong to: a project on this machine."""
    return f"{platform.node()}:{folder}"
