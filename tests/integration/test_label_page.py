"""The label page in a real browser: hands, two tabs, hostile names, a killed server, no server."""

import http.client
import json
import re
import signal
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.integration.browser import ARGUMENTS, BROWSER
from tests.labelling.small_lab import CLASSES, SmallLab, make_small_lab
from tests.warm_processes import WarmProcess, run_command
from vlmsel.api.label import LabelSession
from vlmsel.cli.app import run
from vlmsel.labelling.page_server import PageServer

HOSTILE = """<img src=x onerror="alert('co')"> & "quotes" \\ 'more'"""
WAIT_S = 120
ADDRESS = re.compile(r"label page: (http://127\.0\.0\.1:(\d+)/\?token=(\S+))")

pytestmark = pytest.mark.skipif(BROWSER is None, reason="no chromium on this machine")


@pytest.fixture(scope="module")
def lab(tmp_path_factory) -> SmallLab:
    found = make_small_lab(tmp_path_factory.mktemp("lab"), n_images=12)
    (found.images / "broken.png").write_bytes(b"no picture at all")
    return found


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=BROWSER, args=ARGUMENTS)
        yield started
        started.close()


@dataclass
class Desk:
    """A served session, and a page on it."""

    session: LabelSession
    server: PageServer
    page: Page
    asked: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    def open(self, page: Page | None = None) -> None:
        page = page or self.page
        page.goto(self.server.url)
        expect(page.locator("#classes button").first).to_be_visible()
        expect(page.locator("#picture")).to_be_visible()

    @property
    def labels(self) -> dict[str, str | None]:
        return dict(self.session.book.labels)


def listen(page: Page, desk: Desk) -> None:
    page.on("request", lambda request: desk.asked.append(request.url))
    page.on("console", lambda message: desk.complaints.append(message.text))
    page.on("pageerror", lambda error: desk.complaints.append(str(error)))
    page.on("dialog", lambda dialog: (desk.complaints.append(dialog.message), dialog.dismiss()))


@pytest.fixture
def make_desk(lab, browser, tmp_path):
    """A page without models: what they say is not the page's affair."""
    desks = []

    def make(classes: tuple[str, ...] = CLASSES, *, starts: bool = False) -> Desk:
        session = LabelSession(lab.plan(tmp_path / "labels.csv", classes))
        server = PageServer()
        if starts:
            session.start()
        server.start(session)
        page = browser.new_page(viewport={"width": 1400, "height": 900})
        desk = Desk(session, server, page)
        desks.append(desk)
        listen(page, desk)
        return desk

    yield make
    for desk in desks:
        desk.page.close()
        desk.server.stop()
        desk.session.stop()


def shown(page: Page) -> str:
    return page.locator("#name").text_content() or ""


def wait_for_labels(page: Page, n: int) -> None:
    word = "label" if n == 1 else "labels"
    text = f"{n} {word}, saved" if n else "No label yet"
    expect(page.locator("#saved-text")).to_have_text(text)


def test_the_keyboard_alone_labels_undoes_skips_and_reloads(make_desk):
    desk = make_desk()
    desk.open()
    page, keys = desk.page, desk.page.keyboard
    first = shown(page)
    assert first != "broken.png"
    keys.press("2")
    wait_for_labels(page, 1)
    assert desk.labels == {first: CLASSES[1]}
    second = shown(page)
    keys.press("0")
    wait_for_labels(page, 2)
    assert desk.labels[second] is None
    keys.press("Backspace")
    wait_for_labels(page, 1)
    expect(page.locator("#name")).to_have_text(second)
    keys.press("Control+z")
    wait_for_labels(page, 0)
    expect(page.locator("#name")).to_have_text(first)
    keys.press("ArrowRight")
    expect(page.locator("#name")).to_have_text(second)
    expect(page.locator("#hint")).to_contain_text("1 picture skipped")
    # Tab reaches the classes, Enter presses one.
    page.locator("#stage").focus()
    for _ in range(4):
        keys.press("Tab")
    keys.press("Enter")
    wait_for_labels(page, 1)
    assert desk.labels == {second: CLASSES[0]}
    page.reload()
    wait_for_labels(page, 1)
    assert "broken.png" in (page.locator("#notes").text_content() or "")
    own = f"http://127.0.0.1:{desk.server.port}/"
    assert all(url.startswith(own) for url in desk.asked)
    assert desk.complaints == []


def test_two_tabs_work_on_one_pile(make_desk, browser):
    desk = make_desk()
    desk.open()
    other = browser.new_page()
    desk.open(other)
    first = shown(other)
    # The second tab is not asked in the meantime: it still shows the first picture.
    other.route("**/api/state", lambda route: route.abort())
    desk.page.keyboard.press("1")
    wait_for_labels(desk.page, 1)
    other.evaluate("label(1)")
    other.unroute("**/api/state")
    expect(other.locator("#name")).not_to_have_text(first)
    assert desk.labels == {first: CLASSES[0]}
    other.keyboard.press("3")
    wait_for_labels(desk.page, 2)
    other.close()


def test_names_with_quotes_and_html_are_text(make_desk):
    desk = make_desk((HOSTILE, "plain"))
    desk.open()
    page = desk.page
    button = page.locator("#classes button").first
    expect(button.locator(".label")).to_have_text(HOSTILE)
    button.click()
    wait_for_labels(page, 1)
    page.locator("#add-open").click()
    page.locator("#add-name").fill("a, b")
    page.locator("#add-name").press("Enter")
    expect(page.locator("#add-error")).to_contain_text("no comma")
    page.locator("#add-name").fill("<script>alert(2)</script>")
    page.locator("#add-name").press("Enter")
    expect(page.locator("#classes button")).to_have_count(3)
    page.keyboard.press("3")
    wait_for_labels(page, 2)
    assert set(desk.labels.values()) == {HOSTILE, "<script>alert(2)</script>"}
    # A label is mended where it is seen.
    page.locator("#recent button").first.click()
    page.locator("#mend-name").fill("PLAIN")
    page.locator("#mend-save").click()
    expect(page.locator("#recent button").first).to_contain_text("plain")
    assert set(desk.labels.values()) == {HOSTILE, "plain"}
    assert page.locator("#classes img, #classes script, #recent script").count() == 0
    assert desk.complaints == [
        "Failed to load resource: the server responded with a status of 400 (Bad Request)"
    ]


def test_two_thousand_classes_are_found_by_typing(make_desk):
    names = tuple(f"species {i:04d} of {'moth' if i % 2 else 'fern'}" for i in range(2000))
    desk = make_desk(names)
    desk.open()
    page = desk.page
    expect(page.locator("#more")).to_have_text("1,940 more; type to find one")
    page.keyboard.type("species 1234")
    expect(page.locator("#found")).to_have_text("1 class")
    page.keyboard.press("Enter")
    wait_for_labels(page, 1)
    assert list(desk.labels.values()) == [names[1234]]
    # What was used has a key now; the search is empty and ready.
    expect(page.locator("#search")).to_have_value("")
    expect(page.locator("#classes button").first).to_contain_text(names[1234])
    page.keyboard.press("1")
    wait_for_labels(page, 2)
    assert list(desk.labels.values()) == [names[1234]] * 2
    assert page.locator("#classes button").count() == 60


def test_a_key_is_never_another_digit(make_desk):
    desk = make_desk(tuple("0123456789"))
    desk.open()
    desk.page.keyboard.press("3")
    wait_for_labels(desk.page, 1)
    desk.page.keyboard.press("0")
    wait_for_labels(desk.page, 2)
    desk.page.keyboard.press("Delete")
    wait_for_labels(desk.page, 3)
    assert list(desk.labels.values()) == ["3", "0", None]


def ask(port: int, path: str, headers: dict[str, str], method: str = "GET") -> int:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.putrequest(method, path, skip_host="Host" in headers)
    for name, value in headers.items():
        connection.putheader(name, value)
    connection.endheaders()
    status = connection.getresponse().status
    connection.close()
    return status


def test_strangers_get_403(make_desk):
    desk = make_desk()
    port, token = desk.server.port, desk.server.url.partition("token=")[2]
    paths = ["/", "/label.js", "/label.css", "/images/0", "/api/state", "/nothing"]
    for path in paths:
        assert ask(port, path, {}) == 403
        assert ask(port, f"{path}?token=wrong", {}) == 403
        assert ask(port, f"{path}?token={token}", {"Host": "evil.example"}) == 403
        assert ask(port, f"{path}?token={token}", {"Host": f"evil.example:{port}"}) == 403
        origin = {"Origin": "http://evil.example"}
        assert ask(port, f"{path}?token={token}", origin) == 403
    assert [ask(port, f"{path}?token={token}", {}) for path in paths] == [200] * 5 + [404]
    body = {"Content-Type": "text/plain", "Content-Length": "0"}
    assert ask(port, f"/api/undo?token={token}", body, "POST") == 415
    assert ask(port, f"/api/label?token={token}", {}, "GET") == 405
    assert ask(port, f"/images/999?token={token}", {}) == 400


SETTLED = """async scheme => {
  for (let frame = 0; frame < 2; frame++) await new Promise(requestAnimationFrame);
  return matchMedia(`(prefers-color-scheme: ${scheme})`).matches
    && document.getAnimations().every(each => each.playState !== "running");
}"""


def test_it_fits_and_has_no_serious_finding(make_desk):
    """With models and advice, at two widths and in both schemes; if wide, with every dialog."""
    desk = make_desk(starts=True)
    desk.open()
    page = desk.page
    for n in (1, 2, 3):
        page.keyboard.press(str(n))
        wait_for_labels(page, n)
    expect(page.locator("#run")).to_contain_text("All 2 models", timeout=1000 * WAIT_S)
    expect(page.locator("#curve svg")).to_be_visible()
    expect(page.locator("#models li")).to_have_count(2)
    found = []
    for width in (1400, 420):
        page.set_viewport_size({"width": width, "height": 900})
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme)
            # Colours of both schemes are found on the way from one to the other.
            page.wait_for_function(SETTLED, arg=scheme)
            assert page.evaluate("document.documentElement.scrollWidth") <= width
            dialogs = ("help-open", "add-open", "finish-open") if width > 1000 else ()
            for dialog in (None, *dialogs):
                if dialog:
                    page.locator(f"#{dialog}").click()
                violations = Axe().run(page).response["violations"]
                found += [x for x in violations if x["impact"] in ("serious", "critical")]
                page.keyboard.press("Escape")
    assert found == [], json.dumps(found, indent=1)[:3000]


class Command:
    """The real command in processes of its own, which end with the test."""

    def __init__(self, lab: SmallLab, out: Path) -> None:
        words = ["label", lab.images, "--store", lab.store, "--classnames", ",".join(CLASSES)]
        words += ["--out", out, "--no-browser"]
        self.words = [str(word) for word in words]
        self._started: list[WarmProcess] = []

    def start(self, *more: str) -> tuple[WarmProcess, str]:
        """A process, and the page's address when it has printed it."""
        done = WarmProcess(run_command, [*self.words, *more])
        self._started.append(done)
        line = (done.stderr if "--json" in more else done.stdout).readline()
        found = ADDRESS.search(line)
        assert found, line
        return done, found[1]

    def stop(self) -> None:
        for done in self._started:
            done.kill()
            done.communicate()


@pytest.fixture
def command(lab, tmp_path) -> Iterator[Command]:
    made = Command(lab, tmp_path / "labels.csv")
    yield made
    made.stop()


def test_a_killed_server_loses_nothing_and_a_second_is_refused(
    lab, browser, tmp_path, command, capsys
):
    first, url = command.start()
    page = browser.new_page()
    page.goto(url)
    for n in range(1, 6):
        expect(page.locator("#picture")).to_be_visible()
        page.keyboard.press(str(1 + CLASSES.index(lab.truth[shown(page)])))
        wait_for_labels(page, n)
    # A second server is refused, here in this process.
    capsys.readouterr()
    assert run(command.words) == 2
    said = f"worked on by process {first.pid} at {url.partition('?')[0]}"
    assert said in " ".join(capsys.readouterr().err.split())
    first.kill()
    first.wait()
    page.keyboard.press("1")
    expect(page.locator("#banner")).to_contain_text("The server does not answer")
    assert len((tmp_path / "labels.csv").read_text().splitlines()) == 6
    again, url = command.start("--json", "--allow-failures", "9")
    page.goto(url)
    wait_for_labels(page, 5)
    expect(page.locator("#run")).to_contain_text("All 2 models", timeout=1000 * WAIT_S)
    # Ctrl-C ends with the answer of `vlmsel select`.
    again.send_signal(signal.SIGINT)
    text, errors = again.communicate(timeout=WAIT_S)
    page.close()
    assert again.returncode == 0, errors
    assert json.loads(text)["n_labels"] == 5
    assert "Traceback" not in errors
    assert "token" not in errors
