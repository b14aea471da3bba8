"""The wordings of the composer, by style: plain tells in no person, diary as I, travel to you."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from stream.messages.story import StoryStyle

Wordings = Mapping[str, Sequence[str]]
"""Per occasion some wordings with places for words; all of them claim the same."""

_SHARED: dict[str, Sequence[str]] = {
    "thing": (
        "Then comes {thing}.",
        "{thing} follows.",
        "The next picture shows {thing}.",
        "Here is {thing}.",
        "Another picture is of {thing}.",
    ),
    "anywhere": ("Here is {thing}.", "One picture shows {thing}.", "There is a picture of {thing}."),
    "first_thing": (
        "The first picture here shows {thing}.",
        "The first one here is of {thing}.",
        "In the first one here is {thing}.",
    ),
    "things": (
        "{n} pictures show {thing}.",
        "Of {thing} there are {n} pictures here.",
        "{n} shots in a row show {thing}.",
    ),
    "clip_thing": ("A clip shows {thing}.", "Then a clip: {thing}."),
    "join_two": (
        "{first} comes next, then {second}.",
        "After {first} comes {second}.",
        "{first} is followed by {second}.",
    ),
    "join_three": (
        "{first} comes next, then {second} and {third}.",
        "{first}, {second} and {third} follow.",
        "After {first} come {second} and {third}.",
    ),
    "quote": ("The next picture has the words “{quote}”.", "“{quote}” can be read in the next one."),
    "thing_quote": ("Here is {thing}, with the words “{quote}”.", "The next one shows {thing}: “{quote}”."),
    "speech": ("In the clip somebody says: “{quote}”", "A clip follows, with the words “{quote}”."),
    "written": ("{text}",),
    "unknown": ("{n} {was} taken here.", "There {is_} {n} more."),
    "unknown_timed": ("{n} {was} taken {when}.", "{when}, {n} {was} added."),
    "people": ("By their labels, {names}: {n}.", "The labels name {names} in {n}."),
    "short": (
        "{n} {was} taken here, among them some of {things}.",
        "There are {n} here, among them some of {things}.",
    ),
    "short_plain": ("{n} {was} taken here.",),
    "start_untimed": (
        "The album begins{near} with this picture.",
        "This is the first picture of the album{near}.",
    ),
    "go_on_untimed": ("The album goes on{near}.", "More pictures follow{near}."),
}
_PLAIN: dict[str, Sequence[str]] = {
    "start": (
        "The album begins on {date} at {hour}{near}.",
        "It is {date}, {hour}{near}: the first picture.",
    ),
    "new_day": (
        "{date}: the album goes on at {hour}{near}.",
        "On {date} the next picture was taken at {hour}{near}.",
    ),
    "later_town": (
        "{later} later the pictures are from{near}.",
        "The next picture, {later} later, was taken{near}.",
    ),
    "later_far": (
        "{later} later the album goes on {far} further.",
        "At {hour} there is another stop, {far} further on.",
    ),
    "later": ("{later} later, at {hour}, the album goes on.", "The next picture was taken {later} later."),
    "at_once": ("At {hour} the next place begins.",),
    "close": ("The last picture was taken at {hour} on {date}.",),
    "close_span": ("The last picture was taken at {hour}, {span} after the first one.",),
}
_DIARY: dict[str, Sequence[str]] = {
    "start": ("I began on {date} at {hour}{near}.", "{date}, {hour}: I took the first picture{near}."),
    "new_day": ("On {date} I went on at {hour}{near}.", "{date}: I took the next picture at {hour}{near}."),
    "later_town": ("{later} later I was{near}.", "I took the next one {later} later,{near}."),
    "later_far": ("{later} later I was {far} further on.", "At {hour} I stopped again, {far} further on."),
    "later": ("{later} later, at {hour}, I took more.", "I took the next picture {later} later."),
    "at_once": ("At {hour} I went on to the next place.",),
    "close": ("I took the last picture at {hour} on {date}.",),
    "close_span": ("I took the last picture at {hour}, {span} after the first one.",),
    "thing": (
        "Then I took a picture of {thing}.",
        "{thing} follows.",
        "Next I found {thing}.",
        "I kept {thing} in the next one.",
    ),
    "things": ("I took {n} pictures of {thing}.", "{n} of my pictures show {thing}."),
    "unknown": ("I took {n} more here.", "I added {n} here."),
    "unknown_timed": ("I took {n} {when}.", "{when} I added {n}."),
    "start_untimed": ("I begin{near} with this picture.",),
    "go_on_untimed": ("I go on{near}.",),
}
_TRAVEL: dict[str, Sequence[str]] = {
    "start": ("You begin on {date} at {hour}{near}.", "It is {date}, {hour}: you start{near}."),
    "new_day": ("On {date} you go on at {hour}{near}.", "{date}, {hour}: you start again{near}."),
    "later_town": ("{later} later you are{near}.",),
    "later_far": ("{later} later you are {far} further on.", "At {hour} you stop again, {far} further on."),
    "later": ("{later} later, at {hour}, you go on.",),
    "at_once": ("At {hour} you go on to the next place.",),
    "close": ("You end at {hour} on {date}.",),
    "close_span": ("You end at {hour}, {span} after the first picture.",),
    "thing": (
        "Then you see {thing}.",
        "{thing} follows.",
        "Next you find {thing}.",
        "In front of you is {thing}.",
    ),
    "things": ("You see {thing} in {n} pictures.", "{n} pictures show you {thing}."),
    "start_untimed": ("You begin{near} with this picture.",),
    "go_on_untimed": ("You go on{near}.",),
}
WORDINGS: dict[StoryStyle, Wordings] = {
    "plain": {**_SHARED, **_PLAIN},
    "diary": {**_SHARED, **_DIARY},
    "travel": {**_SHARED, **_TRAVEL},
}
"""All that a style has words for."""
