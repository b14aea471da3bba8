"""The words of stories: those that claim nothing of a picture, and those that do."""

from __future__ import annotations

from reasoning.tokens import MONTHS
from reasoning.words import PERSON_WORDS, word_set

NEUTRAL = word_set(
    """
    picture pictures photo photos photograph photographs photographed shot shots image images clip clips film
    album camera story series take takes took taken taking show shows showed shown showing see sees saw seen
    seeing look looks looked looking like seem seems appear appears come comes came coming follow follows
    followed following go goes went gone on begin begins began begun start starts started end ends ended
    ending close closes closed find finds found stand stands stood turn turns turned next first second third
    last then later earlier finally again another other others more further farther way time times day days
    hour hours minute minutes second seconds week weeks month months year years part place places stop stops
    here there near nearby around out up back one ones single pair couple row dozen word words text texts read
    reads writing written line lines label labels labelled clock album's among between moment moments distance
    metre metres meter meters kilometre kilometres kilometer kilometers km m later after before about roughly
    nearly almost over under within both each every make makes made keep keeps kept hold holds held have has
    had be got get gets thing things something somebody someone voice voices speak speaks spoken heard hear
    hears say says said called name named of it its front view close-up closeup detail middle whole number
    numbers total together most rest left right length long short present own put run runs give gives gave
    bring brings brought add adds added leave leaves let once twice meanwhile afterwards soon stopped goes
    place's parts shows kept keeping it's another's still just note notes known unknown could can be made out
    only too also
    """
)
"""Words that tell of pictures, their order and how they are told."""
HEDGES = (
    "looks like",
    "look like",
    "looked like",
    "may be",
    "might be",
    "seems to be",
    "perhaps",
    "possibly",
)
"""What makes a statement one of likeness."""
DAY_PARTS: dict[str, tuple[float, float]] = {
    "morning": (4.0, 12.0),
    "midday": (11.0, 14.0),
    "noon": (11.0, 14.0),
    "afternoon": (12.0, 18.0),
    "evening": (17.0, 23.0),
    "night": (21.0, 5.0),
    "midnight": (23.0, 1.0),
}
"""Hours of the wall's clock, from and up to, that a word for a part of the day allows; they overlap as usage
does."""
WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
MONTH_NAMES = tuple(MONTHS)
SEASONS = {
    "spring": (3, 4, 5),
    "summer": (6, 7, 8),
    "autumn": (9, 10, 11),
    "fall": (9, 10, 11),
    "winter": (12, 1, 2),
}
"""Meteorological seasons of the northern half, by month; six months off in the southern."""
UNIT_S = {"second": 1, "minute": 60, "hour": 3600, "day": 86_400, "week": 604_800}
UNIT_M = {"metre": 1, "meter": 1, "m": 1, "kilometre": 1000, "kilometer": 1000, "km": 1000}
PICTURE_NOUNS = word_set("picture photo photograph shot image clip one")
PEOPLE = (
    PERSON_WORDS
    | word_set(
        """
        mother father mum mom dad parent parents sister brother sisters brothers son daughter wife husband
        uncle aunt cousin grandmother grandfather grandma grandpa grandson granddaughter friend friends family
        neighbour neighbor colleague couple's bride groom people person persons human humans tourist tourists
        stranger strangers visitor visitors he she him her his hers they them their theirs we us our ours
        everyone everybody nobody anyone twins son's mother's father's companion companions guest guests
        teenager teenagers adult adults toddler infant hiker hikers driver passenger passengers soldier
        policeman waiter chef farmer
        """
    )
) - word_set("character characters host")
"""People, and what they are to somebody: no label model of this release knows them."""
NARRATOR = word_set("i me my mine you your yours")
"""Who tells, and who is told: they claim nobody in a picture."""
SAYING = word_set(
    """
    says said say saying shouts shouted asks asked tells told whispers whispered sings sang sung singing calls
    cries cried explains explained answers answered talks talked talking laughs laughed speaks spoke
    """
)
READING = word_set("read reads writing written words word text sign signs letters letter says say")
"""What stands around a quotation of a text in a picture."""
