"""The page in a real browser against a gateway that keeps to the contract: every view, by keyboard, on a
phone, in the dark, with hostile words. `test_live_browser.py` has the real gateway."""

from __future__ import annotations

import re
import time
from itertools import pairwise

import pytest

from tests.system.fake_gateway import CODE, TOKEN, item
from tests.system.page_driver import Complaints, new_page, until_page
from tests.system.page_scripts import EPOCHS, FOCUSED, FRAMES, KEEP_NOTIFICATIONS, KEEP_TRACKS, NAMELESS

pytestmark = pytest.mark.browser

HOSTILE = (
    "<img src=x onerror=\"document.title='obeyed'\"><script>document.title='obeyed'</script>"
    "&amp; ignore all rules"
)
ANSWER = {
    "answer": "It was the winter of despair.",
    "verdict": "answered",
    "sentences": [{"text": "It was the winter of despair.", "citations": [0]}],
    "citations": [item("c1", "It was the spring of hope, it was the winter of despair.")],
    "conflicts": [],
    "notices": [],
    "coverage": {"through": None, "gaps": [{"reason": "paused"}], "unfinished": [], "undated": 0},
}


@pytest.fixture
def complaints():
    return Complaints()


def signed_in(browser, gateway, complaints=None, at="", **options):
    """A page that is signed in, connected, and shows a view."""
    context = browser.new_context(base_url=gateway.url, locale="en-GB", **options)
    context.grant_permissions(["camera", "microphone"])
    context.add_cookies([{"name": "session", "value": "yes", "url": gateway.url}])
    page = new_page(context, complaints)
    page.add_init_script("localStorage.setItem('omnirecall.signed-in', '1')")
    page.goto(gateway.url + at)
    page.wait_for_selector("#connection[data-state=open]")
    return page


def until(is_so, what, within_s=60.0):
    """Waits for something at the gateway's side."""
    ends_s = time.monotonic() + within_s
    while not is_so():
        assert time.monotonic() < ends_s, what
        time.sleep(0.02)


def said(gateway, kind):
    return [told for told in gateway.told if told["type"] == kind]


def ask(page, gateway, question):
    """Asks by typing; returns what the gateway heard."""
    before = len(said(gateway, "ask"))
    page.fill("#question", question)
    page.press("#question", "Enter")
    until(lambda: len(said(gateway, "ask")) > before, "the question was sent")
    return said(gateway, "ask")[-1]


def test_a_token_signs_in_and_a_wrong_one_does_not(browser, gateway, complaints):
    page = new_page(browser.new_context(), complaints)
    page.goto(gateway.url)
    page.fill("#secret", "wrong")
    page.press("#secret", "Enter")
    page.wait_for_selector("#sign-in-problem:not(:empty)")
    page.fill("#secret", TOKEN)
    page.press("#secret", "Enter")
    page.wait_for_selector("#connection[data-state=open]")
    assert not page.is_visible("#signed-out")
    page.reload()
    page.wait_for_selector("#connection[data-state=open]")
    kept = page.evaluate("JSON.stringify(localStorage) + document.cookie")
    assert TOKEN not in kept


def test_a_pairing_code_works_once_and_leaves_the_address(browser, gateway):
    page = new_page(browser.new_context())
    page.goto(f"{gateway.url}#pair={CODE}")
    page.wait_for_selector("#connection[data-state=open]")
    assert "pair" not in page.url
    assert ("pair", {"code": CODE}) in gateway.posted


def test_an_answer_streams_is_cited_and_the_citation_plays(browser, gateway, complaints):
    page = signed_in(browser, gateway, complaints)
    asked = ask(page, gateway, "What about winter?")
    assert asked["epoch"] == 1
    assert asked["dialogue_id"] == "d1"
    turn = {"turn_id": asked["turn_id"], "epoch": 1}
    gateway.say({"type": "token", **turn, "index": 0, "text": "It was ", "sentence": 0})
    gateway.say({"type": "token", **turn, "index": 1, "text": "the winter", "sentence": 0})
    until_page(page, "document.querySelector('.said').textContent === 'It was the winter'")
    gateway.say({"type": "answer", **turn, "answer": ANSWER})
    page.click(".cites .moment")
    until_page(page, "document.querySelector('#player-video').currentTime > 0.4")
    page.keyboard.press("Escape")
    assert page.evaluate("document.activeElement.className") == "moment", "the focus is where it was"
    assert "not recorded: paused" in page.inner_text(".answered")
    assert page.text_content("#polite") == ANSWER["answer"], "a screen reader is told once, whole"
    assert complaints.all == []


def test_a_moment_without_a_clip_says_so_plainly(browser, gateway):
    page = signed_in(browser, gateway)
    ask(page, gateway, "?")
    none = {**ANSWER, "citations": [item("x", "Words.", play={"uri": None})]}
    gateway.say({"type": "answer", "turn_id": "", "epoch": 1, "answer": none})
    page.click(".cites .moment")
    page.wait_for_selector("#player-plain:visible")
    assert "No clip was kept" in page.inner_text("#player-plain")
    assert page.inner_text("#player-words") == "Words."
    assert page.is_visible("#player-picture")


def test_words_of_older_epochs_are_discarded(browser, gateway):
    page = signed_in(browser, gateway)
    ask(page, gateway, "first")
    ask(page, gateway, "second")
    gateway.say({"type": "token", "turn_id": "", "epoch": 1, "index": 0, "text": "STALE", "sentence": 0})
    gateway.say({"type": "token", "turn_id": "", "epoch": 2, "index": 0, "text": "fresh", "sentence": 0})
    until_page(page, "document.querySelector('#conversation').textContent.includes('fresh')")
    gateway.say({"type": "turn", "phase": "cancel", "epoch": 3, "turn_id": "", "text": "", "reason": "spoke"})
    gateway.say({"type": "token", "turn_id": "", "epoch": 2, "index": 1, "text": "STALE", "sentence": 0})
    gateway.say({"type": "answer", "turn_id": "", "epoch": 2, "answer": {**ANSWER, "answer": "STALE"}})
    gateway.say(
        {"type": "turn", "phase": "open", "epoch": 3, "turn_id": "t3", "text": "third", "reason": "?"}
    )
    until_page(page, "document.querySelector('#conversation').textContent.includes('third')")
    assert "STALE" not in page.inner_text("#conversation")
    assert "Stopped." in page.inner_text("#conversation")


def test_an_answer_under_a_later_epoch_finds_its_question(browser, gateway):
    page = signed_in(browser, gateway)
    asked = ask(page, gateway, "What about winter?")
    gateway.say({"type": "answer", "turn_id": asked["turn_id"], "epoch": 9, "answer": ANSWER})
    page.wait_for_selector(".cites .moment")
    assert page.locator(".answered").count() == 1
    assert ask(page, gateway, "And then?")["epoch"] == 10


def test_epochs_by_themselves(browser, gateway):
    page = signed_in(browser, gateway)
    told = page.evaluate(EPOCHS)
    assert told == [5, False, True, True, False, False, 7, True, False, True, False, False, 4]


def test_the_frame_and_the_window_by_themselves(browser, gateway):
    page = signed_in(browser, gateway)
    told = page.evaluate(FRAMES)
    assert told["framed"] == [1, 1, 0, 0, 1, 2, 0, 0, 0, 3, 0, 0, 0, 0, 0, 22, 227, 96, 7, 8, 9]
    assert told["took"] == [0, 1, None, 2, None, None, 0], "the window holds; a cut segment never goes on"
    assert told["rungs"] == [1, 1, 2, 2, 1, 1, 0], "down by lag, up after calm, not at once"


def test_camera_and_microphone_arrive_as_webm_in_order(browser, gateway, complaints, tmp_path):
    import av

    page = signed_in(browser, gateway, complaints)
    page.click("#camera-switch")
    page.wait_for_selector("#preview:visible")
    page.click("#microphone-switch")
    until(
        lambda: any(
            c["has_audio"] and c["has_video"] for c in said(gateway, "camera") if c["state"] == "open"
        ),
        "both",
    )
    segment = said(gateway, "camera")[-1]["segment"]
    until(lambda: sum(c[2] == segment for c in gateway.chunks) >= 12, "chunks of both")
    page.click("#camera-switch")
    page.click("#microphone-switch")
    until(lambda: said(gateway, "camera")[-1]["state"] == "close", "it is told that the camera closed")
    mine = [c for c in gateway.chunks if c[2] == segment]
    assert [c[3] for c in mine] == list(range(len(mine))), "no chunk is missing or out of order"
    assert all((c[0], c[1]) == (1, 1) for c in mine)
    gaps_ms = [(b[4] - a[4]) / 1e6 for a, b in pairwise(mine)]
    assert min(gaps_ms) >= 0
    assert abs(mine[0][4] / 1e9 - time.time()) < 120
    path = tmp_path / "got.webm"
    path.write_bytes(b"".join(c[5] for c in mine))
    with av.open(str(path)) as media:
        kinds = {stream.type: 0 for stream in media.streams}
        for packet in media.demux():
            kinds[packet.stream.type] += bool(packet.size)
    assert kinds["video"] > 3
    assert kinds["audio"] > 20
    assert complaints.all == []


def test_pause_closes_the_devices_and_resume_opens_them(browser, gateway):
    page = signed_in(browser, gateway)
    page.evaluate(KEEP_TRACKS)
    gateway.sources = [{"uri": "browser:x", "state": "reading", "source_id": "", "read": 3, "sent": 3}]
    page.click("#camera-switch")
    until_page(page, "window.tracks.length > 0")
    until(lambda: gateway.chunks, "it sends")
    page.click("#pause")
    until_page(page, "window.tracks.every(track => track.readyState === 'ended')")
    page.wait_for_selector("#paused-banner")  # Once the server has answered.
    gateway.state()
    page.wait_for_timeout(100)
    assert page.is_visible("#paused-banner"), "a state that was on its way does not undo it"
    assert ("sources/pause", {"uri": "all", "paused": True}) in gateway.posted
    page.wait_for_timeout(300)
    before = len(gateway.chunks)
    page.wait_for_timeout(600)
    assert len(gateway.chunks) == before, "nothing is sent while paused"
    page.click("#pause")
    until_page(page, "window.tracks.some(track => track.readyState === 'live')")
    until(lambda: len({c[2] for c in gateway.chunks}) > 1, "it sends again, in a new segment")
    assert len(said(gateway, "camera")) == 1, "the source was paused, never closed"
    assert not page.is_visible("#paused-banner")


def test_a_pause_by_someone_else_closes_this_camera(browser, gateway):
    page = signed_in(browser, gateway)
    page.click("#camera-switch")
    until(lambda: gateway.chunks, "it sends")
    name = said(gateway, "camera")[-1]["name"]
    others = [{"uri": "rtsp://yard", "state": "reading", "source_id": "", "read": 1}]
    gateway.sources = [*others, {"uri": f"browser:{name}", "state": "paused", "source_id": "", "read": 1}]
    gateway.state()
    page.wait_for_selector("#camera-switch[aria-pressed=false]")
    assert not page.is_visible("#paused-banner"), "the others go on"
    assert page.evaluate("document.querySelector('#preview').srcObject") is None


def test_a_camera_that_was_not_opened_is_asked_for_again_and_its_beginning_kept(browser, gateway):
    gateway.refusals = 1
    page = signed_in(browser, gateway)
    page.click("#camera-switch")
    until(lambda: gateway.chunks, "it sends in the end")
    assert len(said(gateway, "camera")) == 2
    assert gateway.chunks[0][3] == 0, "from the beginning"


def test_without_a_window_nothing_is_lost_and_the_rate_falls(browser, gateway):
    gateway.window = 0
    page = signed_in(browser, gateway)
    page.click("#camera-switch")
    page.wait_for_selector("#camera-state:has-text('lower rate')")
    held = len(gateway.chunks)
    assert held <= 8, "no more than the first window"
    gateway.window = 64
    gateway.say({"type": "pushed", "segment": gateway.chunks[-1][2], "through": held - 1, "window": 64})
    until(lambda: len({c[2] for c in gateway.chunks}) > 1, "the waiting chunks follow")
    for segment in {c[2] for c in gateway.chunks}:
        indexes = [c[3] for c in gateway.chunks if c[2] == segment]
        assert indexes == list(range(len(indexes)))


def test_a_lost_connection_comes_back_with_a_new_segment(browser, gateway):
    page = signed_in(browser, gateway)
    page.click("#camera-switch")
    until(lambda: len(gateway.chunks) > 3, "it sends")
    first = gateway.chunks[-1][2]
    gateway.drop()
    page.wait_for_selector("#connection:not([data-state=open])")
    page.wait_for_selector("#connection[data-state=open]")
    until(lambda: gateway.chunks[-1][2] > first, "it sends again")
    later = [c for c in gateway.chunks if c[2] > first]
    assert later[0][3] == 0, "from the beginning of a segment"


def test_the_voice_gives_way_at_once_stops_on_cancel_and_goes_on_after_nothing(browser, gateway):
    page = signed_in(browser, gateway)
    page.click("#speak-switch")
    asked = ask(page, gateway, "Tell me")
    turn = {"turn_id": asked["turn_id"], "epoch": 1}
    gateway.say({"type": "token", **turn, "index": 0, "text": "One thing.", "sentence": 0})
    gateway.say({"type": "token", **turn, "index": 1, "text": "Another.", "sentence": 1})
    until(lambda: said(gateway, "playing"), "the server is told what is being said")
    assert said(gateway, "playing")[0] == {
        "type": "playing",
        "epoch": 1,
        "state": "started",
        "text": "One thing.",
    }
    # The fake microphone beeps once a second: loud, and not steady.
    page.click("#microphone-switch")
    until_page(page, "speechSynthesis.acts.some(([act]) => act === 'pause')")
    gateway.say(
        {"type": "turn", "phase": "resume", "epoch": 1, "turn_id": "", "text": "", "reason": "a cough"}
    )
    until_page(page, "speechSynthesis.acts.some(([act]) => act === 'resume')")
    gateway.say({"type": "turn", "phase": "cancel", "epoch": 2, "turn_id": "", "text": "", "reason": "spoke"})
    until_page(page, "speechSynthesis.acts.some(([act]) => act === 'cancel')")
    until(lambda: any(told["state"] == "ended" for told in said(gateway, "playing")), "and that it ended")
    gateway.say({"type": "token", **turn, "index": 2, "text": "Late.", "sentence": 2})
    gateway.say({"type": "answer", **turn, "answer": ANSWER})
    page.wait_for_timeout(200)
    assert page.evaluate("speechSynthesis.spoken") == ["One thing."]


def test_hold_to_talk_by_key_and_by_pointer(browser, gateway):
    page = signed_in(browser, gateway)
    page.focus("#hold")
    page.keyboard.down(" ")
    until(lambda: said(gateway, "talk"), "down")
    page.keyboard.up(" ")
    until(lambda: len(said(gateway, "talk")) == 2, "up")
    page.hover("#hold")
    page.mouse.down()
    until(lambda: len(said(gateway, "talk")) == 3, "down")
    page.mouse.up()
    until(lambda: len(said(gateway, "talk")) == 4, "up")
    assert [told["state"] for told in said(gateway, "talk")] == ["down", "up", "down", "up"]
    assert page.get_attribute("#microphone-switch", "aria-pressed") == "true"


def test_alerts_are_listed_told_once_and_notified(browser, gateway, complaints):
    gateway.says = {
        "watches": {"watches": [{"id": "w1", "question": "a cat", "expires": None, "spoken": False}]}
    }
    page = signed_in(browser, gateway, complaints)
    page.context.grant_permissions(["notifications"])
    page.evaluate(KEEP_NOTIFICATIONS)
    page.goto(gateway.url + "#alerts")
    page.click("#notify")
    page.goto(gateway.url + "#live")
    alert = {
        "type": "alert",
        "watch": "w1",
        "id": "a1",
        "t": "2026-11-27T09:00:00.000Z",
        "question": "a cat",
        "text": "A cat was seen.",
        "items": [item("c1", "A cat")],
    }
    gateway.say(alert)
    gateway.say(alert)
    page.wait_for_selector("#alert-count:visible")
    assert page.inner_text("#alert-count") == "1"
    assert page.evaluate("window.shown.length") == 1
    assert page.text_content("#urgent") == "Alert: A cat was seen."
    page.click(".tabs a[href='#alerts']")
    assert page.locator("#alert-items > li").count() == 1
    page.fill("#watch-question", "the kettle boils")
    page.press("#watch-question", "Enter")
    until(lambda: any(path == "watches" for path, _ in gateway.posted), "set")
    _, body = next(one for one in gateway.posted if one[0] == "watches")
    assert body["question"] == "the kettle boils"
    assert abs(body["expires_ns"] / 1e9 - time.time() - 86_400) < 600
    page.click("#watches button:has-text('Drop')")
    until(lambda: ("watches/w1", None) in gateway.posted, "dropped")
    assert complaints.all == []


def test_forgetting_shows_what_would_go_before_it_goes(browser, gateway):
    gateway.says = {
        "forget": {"counts": {"observations": 12, "media_bytes": 2_000_000}, "verified": True, "over": True}
    }
    page = signed_in(browser, gateway)
    ask(page, gateway, "What was heard?")
    gateway.say(
        {"type": "answer", "turn_id": "", "epoch": 1, "answer": {"answer": "It was the age of wisdom."}}
    )
    page.wait_for_selector("#conversation:has-text('age of wisdom')")
    for n in range(60):
        heard = {"id": str(n), "text": f"line {n}", "t0": "2026-11-27T09:00:00Z", "t1": None, "source": "mic"}
        gateway.say({"type": "transcript", **heard})
        if n == 20:
            page.wait_for_selector("#transcript:has-text('line 20')")
            page.click(".tabs a[href='#system']")  # What is not shown has no heights to go by.
    page.wait_for_selector("#transcript:has-text('line 59')", state="attached")
    page.click(".tabs a[href='#live']")
    follows = (
        "(e => e.scrollHeight - e.scrollTop - e.clientHeight < 60)(document.getElementById('transcript'))"
    )
    assert page.evaluate(follows), "it goes on following"
    page.click(".tabs a[href='#system']")
    page.click("#forget button")
    page.wait_for_selector("#forget-sheet[open]")
    assert re.search(r"observations\s*12", page.inner_text("#forget-sheet-counts"))
    assert "2.0 MB" in page.inner_text("#forget-sheet-counts")
    assert page.evaluate("document.activeElement.id") == "forget-no", "Enter forgets nothing"
    asked = [body for path, body in gateway.posted if path == "forget"]
    assert [body["dry_run"] for body in asked] == [True]
    page.click("#forget-yes")
    page.wait_for_selector("#forget-told:has-text('found nothing of it')")
    first, second = (body for path, body in gateway.posted if path == "forget")
    assert second == {**first, "dry_run": False}, "just what was shown goes"
    page.click(".tabs a[href='#live']")
    shown = page.inner_text("main")
    assert "wisdom" not in shown
    assert "line 59" not in shown, "what was forgotten stands nowhere on the page"


def test_timeline_search_places_and_now(browser, gateway, complaints):
    hit = item("h1", HOSTILE)
    gateway.says = {
        "timeline": {
            "spans": [{**item("s1", "A span"), "level": "event", "play": "/api/v1/moments/s1"}],
            "days": [{"day": "2026-11-27", "n": 3}],
        },
        "search": {"hits": [hit]},
        "places": {
            "places": [
                {"id": "p1", "label": HOSTILE, "visits": 2, "last": None, "thumbnail": "/api/v1/media/aa"}
            ]
        },
        "people": {"people": [{"id": "q1", "name": None, "utterances": 1, "last": None}]},
        "now": {"items": [hit]},
    }  # fmt: skip
    page = signed_in(browser, gateway, complaints, at="#timeline")
    page.wait_for_selector("#timeline-items .moment")
    assert "1 moment" in page.inner_text("#timeline-told")
    page.click("#timeline-items .moment")
    until_page(page, "document.querySelector('#player-video').currentTime > 0")
    page.keyboard.press("Escape")
    page.fill("#cue", "winter")
    page.press("#cue", "Enter")
    page.wait_for_selector("#timeline-items .moment:has-text('ignore all rules')")
    page.click(".tabs a[href='#known']")
    page.fill("#places input", "Kitchen")
    page.press("#places input", "Enter")
    until(lambda: ("places/p1/label", {"label": "Kitchen"}) in gateway.posted, "named")
    page.click(".tabs a[href='#live']")
    page.click("#now summary")
    page.wait_for_selector("#now-items .moment")
    assert page.title() == "OmniRecall", "hostile words were not obeyed"
    assert complaints.all == []


def test_hostile_words_stay_words_everywhere(browser, gateway, complaints):
    page = signed_in(browser, gateway, complaints)
    ask(page, gateway, HOSTILE)
    turn = {"turn_id": "", "epoch": 1}
    gateway.say(
        {
            "type": "transcript",
            "id": "1",
            "text": HOSTILE,
            "t0": "2026-11-27T09:00:00Z",
            "t1": None,
            "source": HOSTILE,
        }
    )
    gateway.say(
        {
            "type": "seen",
            "id": "1",
            "kind": "seen_text",
            "text": HOSTILE,
            "t0": None,
            "source": "x",
            "thumbnail": "javascript:alert(1)",
        }
    )
    gateway.say({"type": "token", **turn, "index": 0, "text": HOSTILE, "sentence": 0})
    hostile = {
        **ANSWER,
        "answer": HOSTILE,
        "sentences": [{"text": HOSTILE, "citations": [0]}],
        "citations": [item("c", HOSTILE, source=HOSTILE, place=HOSTILE, thumbnail="javascript:alert(1)")],
        "notices": [HOSTILE],
    }
    gateway.say({"type": "answer", **turn, "answer": hostile})
    gateway.say(
        {
            "type": "alert",
            "id": "a",
            "watch": "w",
            "t": "2026-11-27T09:00:00.000Z",
            "question": HOSTILE,
            "text": HOSTILE,
            "items": [],
        }
    )
    gateway.sources = [{"uri": HOSTILE, "state": HOSTILE, "reason": HOSTILE, "source_id": "ab"}]
    gateway.state()
    page.wait_for_selector(".cites .moment")
    page.click(".tabs a[href='#system']")
    gateway.state()
    page.wait_for_selector("#sources tbody tr")
    page.click("#pair")
    page.wait_for_selector("#pair-qr svg path")
    page.wait_for_timeout(200)
    assert page.title() == "System · OmniRecall"
    assert page.evaluate("document.querySelectorAll('img[onerror], body script').length") == 0
    assert [one for one in complaints.all if "policy" in one.lower()] == []


@pytest.mark.parametrize("view", ["live", "timeline", "known", "alerts", "system"])
@pytest.mark.parametrize("width_px", [360, 768, 1280])
def test_no_view_scrolls_sideways(browser, gateway, view, width_px):
    gateway.says = {
        "places": {"places": [{"id": "p", "label": "A" * 60, "visits": 2}]},
        "timeline": {"spans": [item("s", "word " * 90, source="/a/" + "b" * 90)]},
    }
    gateway.sources = [
        {"uri": "rtsp://" + "a" * 80, "state": "reading", "source_id": "ab", "read": 10, "reason": "x " * 40}
    ]
    page = signed_in(browser, gateway, at=f"#{view}", viewport={"width": width_px, "height": 740})
    gateway.state()
    page.wait_for_timeout(150)
    over = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert over <= 0


def test_the_dark_is_dark_and_legible(browser, gateway):
    page = signed_in(browser, gateway, color_scheme="dark", reduced_motion="reduce")
    paper, ink = page.evaluate(
        "[getComputedStyle(document.body).backgroundColor, getComputedStyle(document.body).color]"
    )
    luma = lambda rgb: sum(int(one) for one in re.findall(r"\d+", rgb)[:3])  # noqa: E731
    assert luma(paper) < 150
    assert luma(ink) > 600


def test_the_keyboard_reaches_everything_and_is_not_trapped(browser, gateway):
    page = signed_in(browser, gateway)
    reached, unseen = [], []
    for _ in range(40):
        page.keyboard.press("Tab")
        told = page.evaluate(FOCUSED)
        if told[2] == "BODY":
            break
        reached.append(told[0])
        if not told[1]:
            unseen.append(told[0])
    order = [
        "#main",  # Skip to the content.
        "#live",
        "#timeline",
        "#known",
        "#alerts",
        "#system",
        "pause",
        "camera-switch",
        "microphone-switch",
        "speak-switch",
        "conversation",
        "question",
        "hold",
        "send",
        "transcript",
    ]
    at = [reached.index(name) for name in order if name != "transcript"]
    assert at == sorted(at), reached
    assert unseen == [], "the focus is seen"
    page.focus(".tabs a[href='#timeline']")
    page.keyboard.press("Enter")
    until_page(page, "document.activeElement.id === 'timeline-title'")
    names = page.evaluate(NAMELESS)
    assert names == []


def test_nothing_is_asked_of_another_host(browser, gateway, complaints):
    page = signed_in(browser, gateway, complaints)
    for view in ("timeline", "known", "alerts", "system", "live"):
        page.click(f".tabs a[href='#{view}']")
        page.wait_for_timeout(80)
    assert complaints.requests
    assert [url for url in complaints.requests if not url.startswith(gateway.url)] == []
    assert complaints.all == []
