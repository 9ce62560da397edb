"""A report that follows its run: rebuilt from the run file, served on this machine alone."""

from __future__ import annotations

import math
import os
import socketserver
import sys
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any

from hilep.durable import reason
from hilep.errors import BadInputError, HilepError
from hilep.report import page
from hilep.runrecord import RunRecord, read_run

LOOPBACK = "127.0.0.1"
IDLE_SECONDS = 10.0
"""After which a connection that asks for nothing is closed."""


class FollowedReport:
    """Serves the report of a run file and keeps it up to date. A context manager.

    The run file is only read, so nothing that happens here can touch the run.

    Args:
        run: the run file.
        seconds: between looks at the file.
        port: on loopback; 0 takes a free one.

    Attributes:
        record: what the file held at the last look that succeeded.
        url: where the report is served.

    Raises:
        BadInputError: for a time that is not positive and finite, or a port that cannot be had.
        RunFileError: where there is no run file that can be read.
    """

    record: RunRecord
    url: str

    def __init__(self, run: Path, seconds: float, port: int = 0) -> None:
        if not (math.isfinite(seconds) and seconds > 0):
            raise BadInputError(f"--follow: expected seconds > 0, got {seconds}")
        self.run = run
        self.seconds = seconds
        self.record = read_run(run)
        self._shown = self._state()
        self._page = self._built()
        try:
            self._server = _Server((LOOPBACK, port), _handler(lambda: self._page))
        except OSError as error:
            raise BadInputError(f"--port {port}: cannot be used: {reason(error)}") from error
        self.url = f"http://{LOOPBACK}:{self._server.server_address[1]}/"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    def __enter__(self) -> FollowedReport:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def look(self) -> bool:
        """Read the run file and rebuild the page if it would say something else.

        A file that cannot be read leaves the page as it was, with a line that says so.

        Returns:
            whether the page was rebuilt.
        """
        note = ""
        try:
            self.record = read_run(self.run)
        except (HilepError, OSError) as error:
            note = f"The run file cannot be read at the moment, so this is older: {error}"
        state = self._state(note)
        if state == self._shown:
            return False
        if note:
            print(f"hilep: {note}", file=sys.stderr)
        self._page = self._built(note)
        self._shown = state
        return True

    def follow(self) -> None:
        """Look again and again, until interrupted."""
        while True:
            time.sleep(self.seconds)
            self.look()

    def _built(self, note: str = "") -> bytes:
        return page(self.record, refresh_seconds=max(1, math.ceil(self.seconds)), note=note)

    def _state(self, note: str = "") -> tuple[Any, ...]:
        """Return what tells one page of a run from the next."""
        record = self.record
        saved = None if record.checkpoint is None else record.checkpoint.update
        tables = record.curve.update, record.evaluations.update
        return record.run_id, record.verdict, saved, *(rows.tolist()[-1:] for rows in tables), note


class _Server(ThreadingHTTPServer):
    # Elsewhere a port just given back can be taken again; on Windows one in use could be.
    allow_reuse_address = os.name != "nt"

    def server_bind(self) -> None:
        """Bind without asking a name server for this machine's name, as the base class would."""
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = LOOPBACK, self.server_address[1]

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of a browser that went away."""
        if not isinstance(sys.exc_info()[1], (ConnectionError, TimeoutError)):
            super().handle_error(request, client_address)


def _handler(content: Callable[[], bytes]) -> type[BaseHTTPRequestHandler]:
    """Return a handler that gives `content()` for `/` and knows nothing else."""

    class Handler(BaseHTTPRequestHandler):
        timeout = IDLE_SECONDS
        server_version = "hilep"
        sys_version = ""

        def do_GET(self) -> None:
            if self.path != "/":
                self._absent()
                return
            body = content()
            self.send_response(200)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Cache-Control", "no-store")
            self.send_header("X-Content-Type-Options", "nosniff")
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        def do_HEAD(self) -> None:
            self.do_GET()

        def __getattr__(self, name: str) -> Any:
            # The base class looks for a method of the name of whatever verb it is sent.
            if name.startswith("do_"):
                return self._absent
            raise AttributeError(name)

        def _absent(self) -> None:
            self.send_error(404)

        def log_message(self, format: str, *arguments: Any) -> None:
            """Keep standard error for what a person has to know."""

    return Handler
