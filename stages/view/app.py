"""The viewer's addresses: the page, its JSON API, the pictures, and what was built."""

import os
from functools import lru_cache
from typing import Any, Callable, Dict, Tuple

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response, StreamingResponse
from starlette.routing import Mount, Route

from stages import files
from stages.view import catalog, export, pictures
from stages.view.built import BuiltFiles
from stages.view.exhibition import Exhibition
from stages.view.guard import Guard
from stages.view.selection import PictureSelection, Unusable, number, selection

PAGE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "page")
USUAL, MOST = 200, 1000  # pictures of one answer
FOREVER = "private, max-age=86400, immutable"


def app(shown: Exhibition, token: str, names: Tuple[str, ...]) -> Guard:
    """The whole application, behind what decides who is answered."""
    answers = _Answers(shown)
    routes = [
        Route("/", _page),
        Route("/picture/{id}", _page),
        Route("/page/{name}", _page_file),
        Route("/api/dataset", answers.dataset),
        Route("/api/pictures", answers.listed),
        Route("/api/picture/{id}", answers.details),
        Route("/api/export", answers.export),
        Route("/api/live", answers.live),
        Route("/image/{id}", answers.image),
        Mount("/built", BuiltFiles(shown.build)),
    ]
    handlers: Dict[Any, Callable[..., Any]] = {HTTPException: _refused, Unusable: _unusable, Exception: _broken}
    return Guard(Starlette(routes=routes, exception_handlers=handlers), token, names)


def _page(_request: Request) -> Response:
    return FileResponse(os.path.join(PAGE, "index.html"), headers={"Cache-Control": "no-cache"})


def _page_file(request: Request) -> Response:
    path = os.path.join(PAGE, os.path.basename(request.path_params["name"]))
    if not os.path.isfile(path):
        raise HTTPException(404, "There is no such file.")
    return FileResponse(path, headers={"Cache-Control": "no-cache"})


def _refused(_request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return JSONResponse({"error": error.detail}, error.status_code, headers=error.headers)


def _unusable(_request: Request, error: Exception) -> Response:
    return JSONResponse({"error": str(error)}, 400)


def _broken(_request: Request, error: Exception) -> Response:
    """A bug, or a disk that is gone: the browser gets a sentence, and the command's output the traceback."""
    told = "%s: %s" % (type(error).__name__, error)
    return JSONResponse({"error": files.readable("This could not be answered (%s)." % told)}, 500)


class _Answers:
    """What is answered about the pictures that are shown."""

    def __init__(self, shown: Exhibition) -> None:
        self._shown = shown
        self._totals = lru_cache(maxsize=1000)(self._counted)
        self._thumb = lru_cache(maxsize=2000)(self._made_thumb)

    def dataset(self, _request: Request) -> Response:
        return JSONResponse(self._shown.overview())

    def listed(self, request: Request) -> Response:
        chosen = self._selection(request)
        offset, limit = number(request.query_params, "offset") or 0, number(request.query_params, "limit")
        with self._shown.opened(chosen.run) as connection:
            asked = catalog.keys(connection, chosen, offset, min(MOST, USUAL if limit is None else limit))
            items = catalog.pictures(connection, asked, self._shown.ids, bool(chosen.run))
        total = self._total(chosen)
        return JSONResponse({"total": total.pictures, "boxes": total.boxes, "items": items})

    def details(self, request: Request) -> Response:
        chosen = self._selection(request)
        found = self._found(request, "of")
        with self._shown.opened(chosen.run) as connection:
            (item,) = catalog.pictures(connection, [found.key], self._shown.ids, bool(chosen.run))
            item["findings"] = catalog.findings(connection, found.key)
            stands = catalog.standing(connection, chosen, found.key)
        for name, other in (("previous", stands.previous), ("next", stands.next)):
            item[name] = other and {"id": other.id, "source": self._shown.ids[other.source]}
        item.update(position=stands.position, total=self._total(chosen).pictures)
        return JSONResponse(dict(item, **self._shown.described(found)))

    def export(self, request: Request) -> Response:
        chosen = self._selection(request)
        kind = request.query_params.get("format", "txt")
        if kind not in export.MIME:
            raise Unusable("format=%s: there is none; there are %s." % (kind[:40], ", ".join(export.MIME)))
        lines = export.lines(self._shown, chosen, kind)
        headers = {"Content-Disposition": 'attachment; filename="pictures.%s"' % kind}
        return StreamingResponse(lines, media_type=export.MIME[kind], headers=headers)

    def live(self, _request: Request) -> Response:
        return JSONResponse(self._shown.live())

    def image(self, request: Request) -> Response:
        found = self._found(request, "source")
        try:
            if request.query_params.get("size") == "thumb":
                shown = self._thumb(found)
            else:
                looked = self._shown.look(found)
                shown = pictures.full(looked.data, looked.upright)
        except (OSError, ValueError) as error:
            raise HTTPException(404, files.readable("The picture cannot be shown: %s." % error)) from error
        return Response(shown.data, media_type=shown.mime, headers={"Cache-Control": FOREVER})

    def _selection(self, request: Request) -> PictureSelection:
        return selection(request.query_params, self._shown.ids, self._shown.run_ids())

    def _found(self, request: Request, word: str) -> catalog.FoundPicture:
        """The picture that an address names; ``word`` is the one that says of which source it is, if one does."""
        asked = request.query_params.get(word, "")
        source = self._shown.ids.index(asked) if asked in self._shown.ids else None
        with self._shown.opened("") as connection:
            found = catalog.find(connection, request.path_params["id"], source)
        if found is None:
            raise HTTPException(404, "There is no picture with this address.")
        return found

    def _total(self, chosen: PictureSelection) -> catalog.Totals:
        # Until the index is whole, each answer may be another.
        return (self._counted if self._shown.index.progress else self._totals)(chosen)

    def _counted(self, chosen: PictureSelection) -> catalog.Totals:
        with self._shown.opened(chosen.run) as connection:
            return catalog.totals(connection, chosen)

    def _made_thumb(self, found: catalog.FoundPicture) -> pictures.Shown:
        looked = self._shown.look(found)
        return pictures.thumb(looked.data, looked.upright)
