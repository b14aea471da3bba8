"""What an image label is an instance of: a "golden retriever" is a dog and an animal.

The label model knows the 1,000 classes of ImageNet (ILSVRC 2012), which are leaves: it
says "tabby", never "cat". Questions ask for the class. The table names classes by the
positions of their leaves in the label list of the lock file, whose order follows
WordNet: animals come first, each family in one stretch, then artefacts by alphabet.
It was written by hand from that list; "rocket" or "lighthouse" stand for the leaves
(missile, beacon) that the list has for them.
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files

from reasoning.words import stem, words

CAPTION_PREFIX = "a photo of "
"""How perception begins the text of a shot; the labels follow, most probable first."""

_LEAVES: dict[str, str] = {
    "animal creature": "0-397",
    "fish": "0-6 389-397",
    "shark": "2-4",
    "bird": "7-24 80-100 127-146",
    "reptile": "33-68",
    "turtle": "33-37",
    "lizard": "38-48",
    "snake": "52-68",
    "spider": "72-77",
    "insect bug": "300-326",
    "beetle": "300-307",
    "butterfly": "321-326",
    "mammal": "102-106 147-299 330-388",
    "whale": "147-148",
    "dog puppy": "151-268",
    "wolf": "269-272",
    "fox": "277-280",
    "cat kitten": "281-285",
    "bear": "294-297",
    "rabbit bunny": "330-332",
    "rodent": "333-338",
    "horse pony": "339",
    "pig": "341-343",
    "cow cattle": "345-347",
    "sheep": "348-349",
    "antelope": "351-353",
    "primate": "365-384",
    "ape": "365-369",
    "monkey": "369-382",
    "panda": "387-388",
    "food meal dish": "924-957 959-965",
    "bread": "930-932",
    "dessert": "927-929",
    "vegetable": "936-947",
    "fruit": "948-957",
    "apple": "948",
    "drink beverage": "966-967 969",
    "coffee": "504-505 550 967",
    "wine": "907 966",
    "mushroom fungus": "947 991-997",
    "flower plant": "985-986",
    "vehicle": (
        "404-405 407-408 436 444 466 468 472 484 510-511 547 554-555 561 565 569 573 575-576 586 "
        "603 609 612 625 627-628 654 656 660-661 665 670-671 675 690 705 717 734 751 757 779-780 "
        "802-803 812 814 817 820 829 833 847 864 866-867 870-871 874 880 895 914"
    ),
    "car automobile": "436 468 511 609 627 656 661 717 751 817",
    "taxi": "468",
    "truck lorry": "555 569 675 717 864 867",
    "van": "654 656 675 734",
    "bus": "654 779 874",
    "train": "466 547 565 705 820",
    "tram": "829",
    "bicycle bike": "444 671",
    "motorcycle motorbike": "665 670",
    "boat ship vessel": "403 472 484 510 554 576 625 628 780 814 833 871 914",
    "airplane aeroplane plane aircraft": "404 895",
    "rocket": "657 744 812",
    "building house": (
        "415 424-425 449 454 467 483 497-498 500 580 582 624 663 668 698 727 743 762 788 832 860 865"
    ),
    "shop store": "415 424 454 467 582 788 860 865",
    "place": (
        "415 424-425 449 453-454 460 467 483 497-498 500 509 525 536 562 580 582 598 624 634 663 668 698 703 "
        "706 718 727 743 762 788 819 821 832 839 860 865 873 888 970 972-980"
    ),
    "lighthouse": "437",
    "bridge": "821 839 888",
    "tower": "900",
    "fence": "489 716 912",
    "instrument": (
        "401-402 420 432 486 494 513 541 546 558 566 577 579 593-594 641-642 683-684 687 699 776 "
        "822 875 881 889"
    ),
    "guitar": "402 546",
    "piano": "579 881",
    "furniture": "423 453 493 495 516 520 526 532 548 559 564 703 736 765 831 857 894",
    "chair seat": "423 559 765 857",
    "table": "526 532 736",
    "bed": "431 516 520 564",
    "sofa couch": "831",
    "tool": "462 473 491 499 512 587 596 623 731 740 784 792",
    "weapon": "413 471 657 763-764",
    "gun": "413 471 763-764",
    "clothes clothing garment": (
        "399-400 411 443 445 452 459 474 501 568 578 601 608 610 614 617 638-639 652 655 658 689 "
        "697 735 775 806 834 841-842 869 906"
    ),
    "hat cap": "439 452 515 518 715 793 808",
    "helmet": "518 560 715",
    "shoe": "502 514 630 770 774",
    "computer": "527 590 620 681",
    "phone telephone": "487 528 707",
    "screen tv": "664 782 851",
    "camera": "732 759",
    "clock": "409 530 892",
    "ball": "429-430 522 574 722 768 805 852 890",
    "cup mug": "504 968",
    "pot": "469 505 521 544 738 849",
    "pan": "567 909",
    "bottle": "440 720 737 898 907",
    "mountain": "970 980",
    "beach": "977-978",
    "book": "454 917 921",
}


def labels_of(text: str) -> tuple[str, ...]:
    """The labels of a shot's text, most probable first; empty if the text is no label caption."""
    if not text.startswith(CAPTION_PREFIX):
        return ()
    return tuple(label for label in text[len(CAPTION_PREFIX) :].split(", ") if label)


@cache
def classes_of(label: str) -> frozenset[str]:
    """Stems of the classes that a label (in any case) is an instance of; empty where none is known."""
    return _classes_by_label().get(label.lower(), frozenset())


@cache
def labels_within(word_stem: str) -> tuple[str, ...]:
    """The labels that are instances of a class, in the order of their names; none where it is no class."""
    return tuple(sorted(label for label, stems in _classes_by_label().items() if word_stem in stems))


@cache
def is_class(word_stem: str) -> bool:
    """Whether the table knows what belongs to this class and what does not."""
    return word_stem in {stem(name) for names in _LEAVES for name in names.split()}


def label_stems(labels: tuple[str, ...]) -> tuple[frozenset[str], frozenset[str]]:
    """What labels name: stems of their words and of their classes, as (sure, possible).

    The tail of a top-five list is noise: a name is sure when one of the first two labels
    carries it, or two of them do. What stands before the head of a label is possible at most.
    """
    counted: dict[str, int] = {}
    sure: set[str] = set()
    possible: set[str] = set()
    for rank, label in enumerate(labels):
        *before, head = words(label) or [""]
        named = ({stem(head)} if head else set()) | classes_of(label)
        # A parking meter does not tell that anybody parked, and a car mirror is no car.
        possible |= named | {stem(word) for word in before if not word.endswith("ing")}
        if rank < 2:
            sure |= named
        for name in named:
            counted[name] = counted.get(name, 0) + 1
    sure |= {name for name, count in counted.items() if count >= 2}
    return frozenset(sure), frozenset(possible)


@cache
def _classes_by_label() -> dict[str, frozenset[str]]:
    listed = files("stream.models").joinpath("imagenet_labels.txt").read_text(encoding="utf-8").splitlines()
    found: dict[str, set[str]] = {}
    for names, leaves in _LEAVES.items():
        stems = {stem(name) for name in names.split()}
        for stretch in leaves.split():
            low, _, high = stretch.partition("-")
            for position in range(int(low), int(high or low) + 1):
                found.setdefault(listed[position].lower(), set()).update(stems)
    return {label: frozenset(stems) for label, stems in found.items()}
