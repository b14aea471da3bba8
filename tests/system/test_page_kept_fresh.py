"""What the page shows stays what is so: figures under a focused button, alerts and lists after forgetting,
and Stop while an answer is read aloud."""

from __future__ import annotations

import pytest

from tests.system.fake_gateway import item
from tests.system.page_driver import Complaints, until_page
from tests.system.test_page import ANSWER, ask, said, signed_in, until

pytestmark = pytest.mark.browser


@pytest.fixture
def complaints():
    return Complaints()


def source(uri, read, state="reading"):
    return {"uri": uri, "state": state, "source_id": "ab", "read": read, "sent": read}


def test_pausing_one_source_keeps_the_focus_and_its_figures_go_on(browser, gateway):
    gateway.sources = [source("rtsp://yard", 3), source("rtsp://door", 5)]
    page = signed_in(browser, gateway, at="#system")
    gateway.state()
    page.focus("#sources button[aria-label^='Pause'][aria-label*='yard']")
    page.keyboard.press("Enter")
    until_page(page, "document.querySelector('#polite').textContent.startsWith('Paused')")
    gateway.sources[1]["read"] = 77
    gateway.state()
    page.wait_for_selector("#sources tbody tr:nth-child(2):has-text('77')")
    until_page(page, "document.activeElement.textContent === 'Resume'")
    page.keyboard.press("Enter")
    until_page(page, "document.querySelector('#polite').textContent.startsWith('Resumed')")
    pauses = [body for path, body in gateway.posted if path == "sources/pause"]
    assert pauses == [{"uri": "rtsp://yard", "paused": True}, {"uri": "rtsp://yard", "paused": False}]
    gateway.sources = [source("rtsp://gate", 1), *gateway.sources]
    gateway.state()
    page.wait_for_selector("#sources tbody tr:nth-child(3)")
    assert "yard" in page.evaluate("document.activeElement.getAttribute('aria-label')"), (
        "it moved down with it"
    )
    gateway.sources[1]["state"] = "done"
    gateway.state()
    until_page(page, "document.activeElement.getAttribute('aria-label') === 'Table of sources'")


def alert(name, text):
    return {"id": name, "watch": "w1", "t": "2026-11-27T09:00:00.000Z", "question": "a cat", "text": text,
            "items": [item(f"of-{name}", text)]}  # fmt: skip


def test_after_forgetting_no_list_has_it_still(browser, gateway, complaints):
    """Alerts, the timeline, places, "now" and what was said: all is cleared, and asked for anew."""
    old = item("c1", "The kettle boils.")
    gateway.says = {
        "alerts": {"alerts": [alert("a1", "The kettle boils."), alert("a2", "It is quiet.")], "after": 2},
        "timeline": {"spans": [old], "days": [{"day": "2026-11-27", "n": 3}]},
        "search": {"hits": [old]},
        "places": {"places": [{"id": "p1", "label": "Kettle corner", "visits": 2}]},
        "now": {"items": [old]},
    }
    page = signed_in(browser, gateway, complaints)
    gateway.say({"type": "alert", **alert("a3", "The kettle boils again.")})
    page.wait_for_selector("#alert-count:has-text('1')")
    page.click("#now summary")
    page.wait_for_selector("#now-items .moment")
    for view in ("alerts", "known", "timeline"):
        page.click(f".tabs a[href='#{view}']")
        page.wait_for_selector(f"#view-{view}:has-text('ettle')")
    gateway.say({"type": "alert", **alert("a4", "The kettle boils over.")})
    page.wait_for_selector("#alert-count:has-text('1')")
    page.fill("#cue", "noise")
    page.press("#cue", "Enter")
    page.wait_for_selector("#timeline-told:has-text('for “noise”')")
    page.click("#timeline-items .moment")
    page.wait_for_selector("#player[open]:has-text('kettle')")
    page.evaluate("location.hash = '#live'")
    gateway.says = {
        "alerts": {"alerts": [alert("a2", "It is quiet.")], "after": 2},
        "search": {"hits": [item("c2", "It hums.")]},
    }
    gateway.say({"type": "forgotten"})
    until_page(page, "document.querySelector('#alert-items').childElementCount === 1")
    until_page(page, "!document.body.textContent.toLowerCase().includes('kettle')")
    assert "kettle" not in page.content().lower()
    assert page.is_hidden("#alert-count"), "what went is not counted"
    page.click(".tabs a[href='#timeline']")
    page.wait_for_selector("#timeline-items .moment:has-text('It hums')")
    assert complaints.all == []


def test_alerts_that_came_while_away_are_told_once(browser, gateway, complaints):
    gateway.says = {"alerts": {"alerts": [alert("a1", "A cat was seen.")], "after": 7}}
    page = signed_in(browser, gateway, complaints, at="#alerts")
    page.wait_for_selector("#alert-items > li")
    page.click(".tabs a[href='#live']")
    assert page.text_content("#urgent") == "", "what was there before is listed, not told"
    came = [alert("a2", "A dog was seen."), alert("a3", "A fox was seen.")]
    gateway.says = {"alerts": {"alerts": came, "after": 9}}
    for _ in range(2):
        gateway.drop()
        page.wait_for_selector("#connection:not([data-state=open])")
        page.wait_for_selector("#connection[data-state=open]")
        page.wait_for_selector("#alert-count:has-text('2')")
        gateway.say({"type": "alert", **came[0]})
    urgent = "Alert: 2 came while this page was not connected. The last: A fox was seen."
    until_page(page, f"document.querySelector('#urgent').textContent === '{urgent}'")
    assert page.locator("#notices .notice", has_text="A fox").count() == 1
    assert any("alerts?after=7" in url for url in complaints.requests)
    gateway.says = {"alerts": {"alerts": [alert("a4", "A hen was seen.")], "after": 10}}
    gateway.drop()
    page.wait_for_selector("#alert-count:has-text('3')")
    until_page(page, "document.querySelector('#urgent').textContent === 'Alert: A hen was seen.'")


@pytest.mark.parametrize("how", ["Escape", "#stop", "the end"])
def test_an_answer_that_is_read_aloud_is_stopped_when_it_is_complete(browser, gateway, how):
    gateway.says = {"now": {"items": []}}
    page = signed_in(browser, gateway)
    page.click("#speak-switch")
    asked = ask(page, gateway, "What about winter?")
    gateway.say({"type": "answer", "turn_id": asked["turn_id"], "epoch": 1, "answer": ANSWER})
    page.wait_for_selector(".cites .moment")
    until(lambda: said(gateway, "playing"), "it is read aloud")
    assert page.is_visible("#stop")
    if how == "Escape":
        page.keyboard.press("Escape")
    elif how == "#stop":
        page.click("#stop")
    else:
        page.evaluate("speechSynthesis.waiting.splice(0).forEach(one => one.onend({}))")
    page.wait_for_selector("#stop", state="hidden")
    until(lambda: said(gateway, "playing")[-1]["state"] == "ended", "the server is told that it ended")
    assert len(said(gateway, "cancel")) == (how != "the end")


def test_a_page_that_is_opened_later_has_what_was_said_before(browser, gateway):
    """And where somebody else has something forgotten, it shows what is left."""
    before = {**item("a1", "The kettle boils."), "kind": "utterance"}
    gateway.says = {"now": {"items": [before, {**item("a2", ""), "kind": "frame"}]}}
    page = signed_in(browser, gateway)
    page.wait_for_selector("#transcript:has-text('kettle boils')")
    assert page.locator("#transcript li").count() == 1
    heard = {"id": "a1", "text": "The kettle boils over.", "t0": "2026-11-27T09:00:00Z", "t1": None}
    gateway.say({"type": "transcript", "source": "mic", **heard})
    page.wait_for_selector("#transcript:has-text('boils over')")
    assert page.locator("#transcript li").count() == 1, "the same line, in its place"
    # One from before that comes later stands above what is newer.
    earlier = {**item("a0", "It is early."), "kind": "utterance", "t0": "2026-11-27T08:59:00Z"}
    gateway.say({"type": "transcript", "source": "mic", **heard, **earlier, "id": "a0"})
    page.wait_for_selector("#transcript li:first-child:has-text('It is early')")
    gateway.says = {"now": {"items": [{**item("a3", "It is quiet."), "kind": "utterance"}]}}
    gateway.say({"type": "forgotten"})
    page.wait_for_selector("#transcript:has-text('It is quiet')")
    assert "kettle" not in page.inner_text("main")
