"""English nouns without their plural endings, by rule."""

from __future__ import annotations


def without_plural(word: str) -> str:
    """One of what a word in lower case names many of; the word itself where it has no plural ending."""
    if word.endswith("ies") and len(word) > 4:
        return word[:-3] + "y"
    if word.endswith(("sses", "xes", "ches", "shes", "zes")):
        return word[:-2]
    if word.endswith("s") and not word.endswith(("ss", "us", "is")):
        return word[:-1]
    return word
