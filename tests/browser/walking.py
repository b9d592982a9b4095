"""A gateway that a browser reaches: the application of the unit tests' site, served on 127.0.0.1."""

import os
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import uvicorn
from playwright.sync_api import Browser, Page, sync_playwright
from tests.unit.gateway.site import Site

from logkeel.gateway.application import make_application
from logkeel.gateway.settings import GatewaySettings

SHOTS = Path(__file__).parents[2] / "build" / "browser"


@contextmanager
def served(folder: Path, **given: Any) -> Iterator[tuple[Site, str]]:
    """A site and its address; the test moves the engine."""
    with ExitStack() as opened:
        site = Site(folder, opened, GatewaySettings(**{"appear_s": 0.0, "max_wait_s": 0.0, **given}), 1)
        server = uvicorn.Server(uvicorn.Config(make_application(site.parts), host="127.0.0.1", port=0, log_config=None))
        thread = threading.Thread(target=server.run)
        thread.start()
        try:
            while not server.started:
                assert thread.is_alive(), "the server did not start"
                thread.join(0.01)
            port = server.servers[0].sockets[0].getsockname()[1]
            yield site, f"http://127.0.0.1:{port}"
        finally:
            site.parts.bulletin.close()
            server.should_exit = True
            thread.join(20)


@contextmanager
def browsing() -> Iterator[Browser]:
    """The browser of the system."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=os.environ["LOGKEEL_BROWSER"], args=["--no-sandbox"])
        try:
            yield browser
        finally:
            browser.close()


def shoot(page: Page, name: str) -> None:
    """An artifact."""
    SHOTS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=SHOTS / f"{name}.png", full_page=True)
