"""What a visitor of a page server meets first: the page, the question for the token, or the word that it is full."""

from __future__ import annotations

import html
from urllib.parse import urlencode

from jupyter_server.auth.login import LoginFormHandler
from tornado.web import HTTPError, RequestHandler, authenticated
from voila.tornado.handler import TornadoVoilaHandler


class ViewerPage(TornadoVoilaHandler):
    """The page itself; who comes with the token in the address is sent on to the bare one, the token now in a cookie.

    The address is what everybody sees on a wall, and Voila hands it to the kernel.
    """

    @authenticated
    async def get(self, path: str | None = None) -> None:
        asked = self.request.query_arguments
        if not asked.keys().isdisjoint(NOT_ASKED):
            rest = urlencode([(k, v) for k, values in asked.items() if k not in NOT_ASKED for v in values])
            self.redirect(f"{self.request.path}?{rest}" if rest else self.request.path)
        elif len(self.kernel_manager.list_kernel_ids()) >= self.settings["viewers"]:
            self.set_status(503)
            self.set_header("Retry-After", "60")
            self.finish(BUSY)
        else:
            await super().get(path)


class Nowhere(RequestHandler):
    """There is nothing at an address that leads upwards; Voila answers some of them with a fault of its own."""

    def prepare(self) -> None:
        raise HTTPError(404)


UPWARDS = r"(?i).*(?:\.\.|//|%2e|%2f|%00|%5c|\\).*"


class LoginPage(LoginFormHandler):
    """Asks for the token, in words of ours."""

    def _render(self, message: dict | None = None) -> None:
        wrong = "<p class=wrong>This is not the token of this page.</p>" if message else ""
        to = html.escape(self.get_argument("next", self.base_url))
        self.finish(LOGIN.format(base=html.escape(self.base_url), next=to, xsrf=self.xsrf_form_html(), wrong=wrong))


NOT_ASKED = {"token", "template", "theme"}
"""Of the address: the token goes into a cookie, and how a page looks is for the server to say."""
BUSY = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>cryowidgets</title><link rel="icon" href="data:,">
<meta http-equiv="refresh" content="60"><meta name="viewport" content="width=device-width, initial-scale=1"></head>
<body style="font: 16px/1.5 system-ui, sans-serif; margin: 18vh auto; max-width: 26em; padding: 0 1em">
<p>As many people look at this session as this server has room for. The page tries again every minute.</p></body></html>
"""

LOGIN = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>cryowidgets</title><link rel="icon" href="data:,">
<meta name="viewport" content="width=device-width, initial-scale=1"><style>
:root {{ color-scheme: light dark; }}
body {{ font: 16px/1.5 system-ui, sans-serif; margin: 18vh auto; max-width: 26em; padding: 0 1em; }}
input {{ font: inherit; padding: .3em .5em; width: 14em; }} button {{ font: inherit; padding: .3em 1em; }}
.wrong {{ color: #c62828; }}
</style></head><body><h1>cryowidgets</h1>
<p>This page shows a session to those who have its token: it stands in the address that
<code>cryowidgets serve</code> printed.</p>{wrong}
<form action="{base}login?next={next}" method="post">{xsrf}
<input type="password" name="password" id="password_input" autofocus aria-label="Token"> <button>Open</button></form>
</body></html>"""
