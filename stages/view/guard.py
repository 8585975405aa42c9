"""Who is answered, and what browsers are told of every answer."""

import hashlib
import hmac
import re
from typing import Dict, List, Tuple
from urllib.parse import parse_qs, parse_qsl, quote, urlencode

from starlette.datastructures import MutableHeaders
from starlette.requests import cookie_parser
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from stages import serving

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; connect-src 'self';"
    " frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
)
HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
}
COOKIE, WORD = "nanoforge_token_", "token"
NO_TOKEN = "Open the whole address that `./run view` printed, with its token."


class Guard:
    """Asks every request for its ``Host``, and for the token where there is one, before the application sees it."""

    def __init__(self, app: ASGIApp, token: str, names: Tuple[str, ...]) -> None:
        self._app, self._token = app, token
        # Browsers send a host's cookies to all of its ports: viewers at several would take each other's away.
        self._cookie = COOKIE + hashlib.sha256(token.encode()).hexdigest()[:8]
        self._names = {name.lower() for name in names}
        others = "".join(", and %s" % name for name in names if name not in serving.LOCAL_NAMES)
        self._refusal = serving.REFUSAL.replace(" only.", others + " only.")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return

        async def sent(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers[name] = value
                headers.setdefault("Content-Security-Policy", POLICY)
                headers.setdefault("Cache-Control", "no-store")
            await send(message)

        await self._answer(scope)(scope, receive, sent)

    def _answer(self, scope: Scope) -> ASGIApp:
        told: Dict[bytes, List[str]] = {}
        for name, value in scope["headers"]:
            told.setdefault(name, []).append(value.decode("latin-1"))
        if not all(map(self._is_ours, told.get(b"host", [""]))):
            return JSONResponse({"error": self._refusal}, 421)
        if not self._token or self._has_cookie(told.get(b"cookie", [])):
            return self._app
        asked = parse_qs(scope["query_string"].decode("latin-1")).get(WORD, [""])[-1]
        return self._welcome(scope) if self._is_token(asked) else JSONResponse({"error": NO_TOKEN}, 403)

    def _is_ours(self, host: str) -> bool:
        return serving.is_local(host) or re.sub(r":[0-9]+$", "", host.strip()).lower() in self._names

    def _has_cookie(self, cookies: List[str]) -> bool:
        return any(self._is_token(cookie_parser(text).get(self._cookie, "")) for text in cookies)

    def _is_token(self, text: str) -> bool:
        return hmac.compare_digest(text.encode(), self._token.encode())

    def _welcome(self, scope: Scope) -> Response:
        """To the same page without the token in its address, which others may see, and with a cookie instead."""
        words = [one for one in parse_qsl(scope["query_string"].decode("latin-1")) if one[0] != WORD]
        # One slash and no backslash: browsers would read another site's name behind two.
        path = "/" + quote(scope["path"].lstrip("/\\"))
        response = Response(status_code=303, headers={"Location": path + ("?" + urlencode(words) if words else "")})
        response.set_cookie(self._cookie, self._token, httponly=True, samesite="strict")
        return response
