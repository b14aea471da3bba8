"""Push-to-talk, words that cross, and the end of a connection: the page in a real browser."""

from __future__ import annotations

import pytest

from tests.system.page_driver import until_page
from tests.system.test_page import said, signed_in, until

pytestmark = pytest.mark.browser

ASKS_FIRST = """() => {
    const devices = navigator.mediaDevices, open = devices.getUserMedia.bind(devices);
    devices.getUserMedia = async (wants) => {
        await new Promise((resolve) => { window.allow = resolve; });
        return open(wants);
    };
}"""


def test_what_is_let_go_while_the_browser_asks_was_never_held(browser, gateway):
    page = signed_in(browser, gateway)
    page.evaluate(ASKS_FIRST)
    page.focus("#hold")
    page.keyboard.down(" ")
    until_page(page, "Boolean(window.allow)")
    page.keyboard.up(" ")
    page.evaluate("allow()")
    page.wait_for_selector("#microphone-switch[aria-pressed=true]")
    page.keyboard.down(" ")
    until(lambda: any(told["state"] == "down" for told in said(gateway, "talk")), "it is held")
    page.keyboard.up(" ")
    until(lambda: said(gateway, "talk")[-1]["state"] == "up", "and let go")
    told = [one["state"] for one in said(gateway, "talk")]
    assert told.count("down") == 1
    assert told[-2:] == ["down", "up"]


def test_push_to_talk_is_told_with_the_name_of_the_camera(browser, gateway):
    page = signed_in(browser, gateway)
    page.focus("#hold")
    page.keyboard.down(" ")
    until(lambda: said(gateway, "talk"), "it is held")
    page.keyboard.up(" ")
    assert said(gateway, "talk")[0]["name"] == page.input_value("#device-name")


def test_a_typed_question_that_crossed_a_spoken_one_keeps_its_answer_to_itself(browser, gateway):
    page = signed_in(browser, gateway)
    page.fill("#question", "What is typed?")
    page.press("#question", "Enter")
    until(lambda: said(gateway, "ask"), "it asks")
    spoken = {"epoch": 7, "turn_id": "ef" * 16}
    gateway.say({"type": "turn", "phase": "open", **spoken, "text": "What is said?", "reason": "?"})
    gateway.say({"type": "token", **spoken, "index": 0, "text": "Spoken.", "sentence": 0})
    typed = {"epoch": 8, "turn_id": said(gateway, "ask")[0]["turn_id"]}
    gateway.say({"type": "token", **typed, "index": 0, "text": "Typed.", "sentence": 0})
    gateway.say({"type": "token", **spoken, "index": 1, "text": "STALE", "sentence": 1})
    until_page(page, "document.querySelector('#conversation').textContent.includes('Typed.')")
    assert page.locator(".answered").all_inner_texts() == ["Typed.", "Spoken.\n\nStopped."]


def test_a_viewers_page_reads_aloud_and_does_not_say_so(browser, gateway):
    gateway.identity = "viewer"
    page = signed_in(browser, gateway)
    page.click("#speak-switch")
    page.fill("#question", "Tell me")
    page.press("#question", "Enter")
    until(lambda: said(gateway, "ask"), "it asks")
    turn = {"turn_id": said(gateway, "ask")[0]["turn_id"], "epoch": 1}
    gateway.say({"type": "token", **turn, "index": 0, "text": "One thing.", "sentence": 0})
    gateway.say({"type": "token", **turn, "index": 1, "text": "Another.", "sentence": 1})
    until_page(page, "speechSynthesis.spoken.length > 0")
    page.click("#stop")
    until(lambda: said(gateway, "cancel"), "it stops")
    assert not said(gateway, "playing")


def test_a_page_that_is_signed_out_goes_to_the_sign_in(browser, gateway):
    page = signed_in(browser, gateway)
    page.context.clear_cookies()
    gateway.drop(4401)
    page.wait_for_selector("#signed-out:not([hidden])")
    assert page.is_hidden("#signed-in")


def test_a_page_that_was_signed_out_while_it_was_away_goes_to_the_sign_in(browser, gateway):
    page = signed_in(browser, gateway)
    page.context.clear_cookies()
    gateway.drop()
    page.wait_for_selector("#signed-out:not([hidden])")


def test_a_page_that_is_turned_away_says_why_and_asks_ever_more_rarely(browser, gateway):
    page = signed_in(browser, gateway)
    gateway.turns_away = "8 pages are open already"
    gateway.attempts_s.clear()
    gateway.drop()
    page.wait_for_selector("#connection:has-text('8 pages are open already')")
    until(lambda: len(gateway.attempts_s) >= 3, "it tries again")
    second, third = gateway.attempts_s[1:3]
    # The wait is 0.5 s at first, then 1 s, then 2 s; each a quarter more or less.
    assert third - second > 1.0
    gateway.turns_away = ""
    page.wait_for_selector("#connection[data-state=open]")
