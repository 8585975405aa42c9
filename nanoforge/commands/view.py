"""The viewer: which pictures it is to show, and who may see them."""

from __future__ import annotations

import glob
import ipaddress
import json
import os
import secrets
import socket
from pathlib import Path
from typing import Dict, List, NamedTuple, Optional, Sequence, Tuple

import psutil

from nanoforge.commands.options import StageOptions
from nanoforge.commands.serve import LOOPBACK, Base, Server, Work, base_of, free_port, runs_here, serve
from nanoforge.commands.stages import run_stage, with_checkpoint
from nanoforge.console import Console
from nanoforge.containers.daemon import Folder
from nanoforge.errors import BadInput, StageFailed
from nanoforge.files.paths import cache_folder, user_path
from nanoforge.files.scratch import scratch_folder
from nanoforge.runners.bind_mounts import INPUTS
from nanoforge.runners.placement import owner_of

VIEW = Server("view", "data", "stages.view.server", "NANOFORGE_VIEW")
# These are in stages/view, too: the host imports nothing of it.
FILE, TOKEN = "view.json", "NANOFORGE_VIEW_TOKEN"
TOKEN_BYTES = 24


class ToView(NamedTuple):
    """What is to be shown.

    Attributes:
        title: for people.
        paths: files or folders that pictures are in.
        build: the build folder of a project; None where there is none.
        cache: where what was found out about them is kept.
    """

    title: str
    paths: Tuple[Path, ...]
    build: Optional[Path]
    cache: Path


class Access(NamedTuple):
    """Who may see it: where the server listens, by which further names it is called, and the token (empty: none)."""

    address: str = LOOPBACK
    names: Tuple[str, ...] = ()
    token: str = ""


def view(options: StageOptions, what: Sequence[str], checkpoint: str, port: int, listen: str) -> None:
    """Show the pictures of a project, or what is named, in a browser until Ctrl-C.

    Args:
        what: TFRecord files, or folders of such or of photos with their XML; patterns, too. Empty: the project.
        checkpoint: that is evaluated first, so that its detections are shown.
        listen: the address of this machine to listen at.
    """
    allowed = access(listen)
    port = free_port(port, allowed.address)
    if what and checkpoint:
        raise BadInput("--checkpoint is for the records of a project: leave it out where you name what to view.")
    if what:
        base = Base(options.placement(), Console(), owner_of(Path.cwd()))
        _show(base, _named(what), allowed, port)
        return
    if checkpoint:
        run_stage("evaluate", with_checkpoint("evaluate", checkpoint, options))
    project = options.project()
    if not any((project.build / name).exists() for name in ("records", "report")):
        raise StageFailed(
            "There is nothing to view yet: run `build` first, or name photos or TFRecords, as in `./run view PHOTOS`."
        )
    records = project.build / "records"
    paths = (Path(os.path.realpath(records)),) if records.exists() else ()
    shown = ToView(project.folder.name, paths, project.build, project.build / "cache" / "view")
    _show(base_of(project), shown, allowed, port)


def access(listen: str) -> Access:
    """Who may see what a server at that address shows: on loopback this machine, else whoever has the token.

    Raises:
        BadInput: it is no address.
    """
    try:
        address = ipaddress.ip_address(LOOPBACK if listen == "localhost" else listen)
    except ValueError:
        raise BadInput(
            f"--listen {listen}: expected an address of this machine, such as 192.168.0.7, or 0.0.0.0 for all of them."
        ) from None
    if address.is_loopback:
        return Access(str(address), (_in_url(str(address)),))
    names = _own_names() if address.is_unspecified else (_in_url(str(address)),)
    return Access(str(address), names, secrets.token_urlsafe(TOKEN_BYTES))


def _own_names() -> Tuple[str, ...]:
    """The addresses of this machine, those of IPv4 first, and its name."""
    found = {
        _in_url(one.address)
        for ones in psutil.net_if_addrs().values()
        for one in ones
        if one.family in (socket.AF_INET, socket.AF_INET6)
    }
    usual = sorted(found, key=lambda name: (name.startswith("["), name.startswith("127."), name))
    return (*usual, socket.gethostname())


def _in_url(address: str) -> str:
    """An address as a URL has it, without the zone that may follow one of IPv6."""
    address = address.partition("%")[0]
    return f"[{address}]" if ":" in address else address


def _named(what: Sequence[str]) -> ToView:
    """What the user named, each a path or a pattern.

    Raises:
        BadInput: there is nothing of that name, or it is neither a file nor a folder.
    """
    paths: List[Path] = []
    for text in what:
        path = user_path(text).absolute()
        found = [path] if path.exists() else [Path(one) for one in sorted(glob.glob(str(path)))]
        if not found:
            raise BadInput(f"There is no {path}: name TFRecord files, or a folder of them or of photos with their XML.")
        paths.extend(found)
    for path in paths:
        if not path.is_file() and not path.is_dir():
            raise BadInput(f"{path} is neither a file nor a folder.")
    title = paths[0].name + (f" and {len(paths) - 1} more" if len(paths) > 1 else "")
    return ToView(title, tuple(path.resolve() for path in paths), None, cache_folder() / "view")


def _show(base: Base, shown: ToView, allowed: Access, port: int) -> None:
    names = [name for name in allowed.names if name != LOOPBACK] or [LOOPBACK]
    page = f"http://{names[0]}:{port}/" + (f"?token={allowed.token}" if allowed.token else "")
    with scratch_folder(shown.cache, "view") as scratch:
        folders = _Folders(not runs_here(base, VIEW))
        told = scratch / FILE
        told.write_text(json.dumps(_description(shown, allowed, folders)), encoding="utf-8")
        told.chmod(0o644)  # the container's user reads it; there is no secret in it
        variables = {TOKEN: allowed.token} if allowed.token else {}
        announcement = f"Pictures of {shown.title}: {page}"
        serve(base, VIEW, Work(told, allowed.address, port, announcement, folders.mounts, variables))


def _description(shown: ToView, allowed: Access, folders: _Folders) -> Dict[str, object]:
    """What `view.json` says (stages/view/exhibits.py)."""
    title = "records" if shown.build else shown.title
    sources = [{"paths": [folders.seen(path) for path in shown.paths], "title": title}] if shown.paths else []
    return {
        "title": shown.title,
        "sources": sources,
        "build": folders.seen(shown.build) if shown.build else "",
        # A container writes to nothing of this machine's: it keeps what it finds out for itself.
        "cache": "" if folders.are_mounted else str(shown.cache),
        "names": list(allowed.names),
    }


class _Folders:
    """Folders as the server sees them: where they are, or mounted side by side."""

    def __init__(self, are_mounted: bool) -> None:
        self.are_mounted = are_mounted
        self.mounts: List[Folder] = []

    def seen(self, path: Path) -> str:
        """The path of a file or folder for the server."""
        if not self.are_mounted:
            return str(path)
        folder = path if path.is_dir() else path.parent
        places = [mount.target for mount in self.mounts if mount.source == str(folder)]
        if not places:
            places = [f"{INPUTS}/{len(self.mounts) + 1}"]
            self.mounts.append(Folder(str(folder), places[0]))
        return places[0] if path == folder else f"{places[0]}/{path.name}"
