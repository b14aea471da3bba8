"""A question in plain English, taken apart."""

from reasoning.question.question import (
    KINDS,
    MAX_QUESTION_CHARS,
    Around,
    Beside,
    Compare,
    Edge,
    Expects,
    Order,
    Question,
    Sense,
)
from reasoning.question.read import read_question, without_politeness

__all__ = [
    "KINDS",
    "MAX_QUESTION_CHARS",
    "Around",
    "Beside",
    "Compare",
    "Edge",
    "Expects",
    "Order",
    "Question",
    "Sense",
    "read_question",
    "without_politeness",
]
