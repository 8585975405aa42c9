"""All that is shown: the sources with their index, and the detections on them."""

import os
import sqlite3
from contextlib import contextmanager
from typing import Any, Dict, Iterator, List, Sequence

from stages.job import BadInput
from stages.view import catalog, pictures
from stages.view.built import pages as built_pages
from stages.view.exhibits import Exhibits, Named
from stages.view.index import Index, location
from stages.view.live import Live
from stages.view.runs import Runs
from stages.view.sources.opening import sources
from stages.view.sources.records import RecordsSource
from stages.view.sources.source import Looked, PicturePlace, ViewSource


class Exhibition:
    """What a description names, opened.

    Attributes:
        ids: the sources' names in addresses, in the order of their numbers.
    """

    def __init__(self, told: Exhibits, cache: str) -> None:
        self.build = told.build
        self._title = told.title
        self._warnings: List[str] = []
        self._sources = [one for named in told.sources for one in self._opened(named, bool(told.build))]
        self.ids = _ids(self._sources)
        self.index = Index(self._sources, cache)
        records = self._sources[0].folder if self._sources and isinstance(self._sources[0], RecordsSource) else ""
        self._runs = Runs(told.build if records else "", records, self.index, cache)
        self._live = Live(told.build)

    def _opened(self, named: Named, is_built: bool) -> List[ViewSource]:
        """The sources of what is named; where there is more to show, such as a report, none that cannot be shown.

        Raises:
            BadInput: there is nothing that can be shown.
        """
        try:
            return sources(named.paths, named.title)
        except BadInput as error:
            if not is_built:
                raise
            self._warnings.append(str(error))
            return []

    def run_ids(self) -> List[str]:
        """The ids of the runs that can be shown."""
        return [run.id for run in self._runs.ready()]

    @contextmanager
    def opened(self, run: str) -> Iterator[sqlite3.Connection]:
        """The index, with the detections of ``run`` beside it where that is not empty."""
        with self.index.open() as connection:
            for found in self._runs.ready() if run else ():
                if found.id == run:
                    connection.execute("ATTACH ? AS run", [location(self._runs.path(found), "ro&immutable=1")])
            yield connection

    def overview(self) -> Dict[str, Any]:
        """What /api/dataset answers."""
        with self.opened("") as connection:
            known = catalog.overview(connection)
        sources = [
            {
                "id": self.ids[number],
                "kind": self._sources[number].kind,
                "title": self._sources[number].title,
                "pictures": count,
                "boxes": boxes,
            }
            for number, count, boxes in known["sources"]
        ]
        progress = self.index.progress
        warnings = (
            self._warnings + known["warnings"] + [self.index.failed] * bool(self.index.failed) + self._runs.warnings()
        )
        return dict(
            known,
            title=self._title,
            sources=sources,
            runs=self._told_runs(),
            indexing=progress and progress._asdict(),
            warnings=warnings,
            live=self._live.told()["running"],
            stamp=self.index.stamp,
            built=[{"title": title, "href": "/built/" + place} for title, place in built_pages(self.build)],
        )

    def live(self) -> Dict[str, Any]:
        """What /api/live answers."""
        return dict(self._live.told(), runs=self._told_runs())

    def _told_runs(self) -> List[Dict[str, Any]]:
        return [
            {"id": run.id, "title": run.title, "threshold": run.threshold, "source": self.ids[0], "mAP": run.quality}
            for run in self._runs.ready()
        ]

    def look(self, found: catalog.FoundPicture) -> Looked:
        """The picture, read from its source and proven to be it.

        Raises:
            OSError, ValueError: as :meth:`ViewSource.look`.
        """
        return self._sources[found.source].look(PicturePlace(*found.place), os.fsdecode(found.name))

    def described(self, found: catalog.FoundPicture) -> Dict[str, Any]:
        """What /api/picture answers of the stored picture: its file, bytes, format and features, and what is wrong."""
        source, place = self._sources[found.source], PicturePlace(*found.place)
        told: Dict[str, Any] = {
            "file": source.file(place),
            "bytes": None,
            "format": None,
            "sha256": None,
            "features": {},
        }
        try:
            looked = self.look(found)
        except (OSError, ValueError) as error:
            return dict(told, problem=str(error))
        return dict(told, **pictures.facts(looked.data), features=looked.features, problem=looked.problem or None)


def _ids(sources: Sequence[ViewSource]) -> List[str]:
    """``train-records`` and the like: of the titles, what is short, and each once."""
    found: List[str] = []
    for source in sources:
        plain = (
            "".join(one if one.isalnum() or one in "-_." else "-" for one in source.title.lower())[:60] or source.kind
        )
        number = sum(one == plain or one.startswith(plain + "~") for one in found)
        found.append(plain + "~%d" % (number + 1) if number else plain)
    return found
