"""Characters of names that a terminal obeys or does not show, and where they are seen as a part of an emoji.

A zero-width joiner, a variation selector and tag characters are seen where they make one sign of several, as in a
family or a flag: there they hide and reorder nothing. Anywhere else they make two names look the same. What counts are
the complete sequences of Unicode (technical standard 51): a joiner between two cherries is not seen.
"""

import re
import unicodedata
from collections.abc import Iterator

_JOINER = "\u200d"
_EMOJI_STYLE = "\ufe0f"
_TONE = "[\U0001f3fb-\U0001f3ff]"
_ADULT = "[\U0001f468\U0001f469\U0001f9d1]"
# Characters that are drawn as text without a selector (Emoji without Emoji_Presentation), apart from digits.
_TEXT_STYLE = (
    "[\xa9\xae\u203c\u2049\u2122\u2139\u2194-\u2199\u21a9\u21aa\u2328\u23cf\u23ed-\u23ef\u23f1\u23f2\u23f8-\u23fa\u24c2"
    "\u25aa\u25ab\u25b6\u25c0\u25fb\u25fc\u2600-\u2604\u260e\u2611\u2618\u261d\u2620\u2622\u2623\u2626\u262a\u262e\u262f"
    "\u2638-\u263a\u2640\u2642\u265f\u2660\u2663\u2665\u2666\u2668\u267b\u267e\u2692\u2694-\u2697\u2699\u269b\u269c\u26a0"
    "\u26a7\u26b0\u26b1\u26c8\u26cf\u26d1\u26d3\u26e9\u26f0\u26f1\u26f4\u26f7-\u26f9\u2702\u2708\u2709\u270c\u270d\u270f"
    "\u2712\u2714\u2716\u271d\u2721\u2733\u2734\u2744\u2747\u2763\u2764\u27a1\u2934\u2935\u2b05-\u2b07\u3030\u303d\u3297"
    "\u3299\U0001f170\U0001f171\U0001f17e\U0001f17f\U0001f202\U0001f237\U0001f321\U0001f324-\U0001f32c\U0001f336"
    "\U0001f37d\U0001f396\U0001f397\U0001f399-\U0001f39b\U0001f39e\U0001f39f\U0001f3cb-\U0001f3ce\U0001f3d4-\U0001f3df"
    "\U0001f3f3\U0001f3f5\U0001f3f7\U0001f43f\U0001f441\U0001f4fd\U0001f549\U0001f54a\U0001f56f\U0001f570"
    "\U0001f573-\U0001f579\U0001f587\U0001f58a-\U0001f58d\U0001f590\U0001f5a5\U0001f5a8\U0001f5b1\U0001f5b2\U0001f5bc"
    "\U0001f5c2-\U0001f5c4\U0001f5d1-\U0001f5d3\U0001f5dc-\U0001f5de\U0001f5e1\U0001f5e3\U0001f5e8\U0001f5ef\U0001f5f3"
    "\U0001f5fa\U0001f6cb\U0001f6cd-\U0001f6cf\U0001f6e0-\U0001f6e5\U0001f6e9\U0001f6f0\U0001f6f3]"
)
# In these patterns J is the joiner, V the selector, T a skin tone, and A a man, woman or person. The longer ones of the
# same beginning come first.
_SEQUENCES = (
    # Families and couples.
    "(?:[👨👩]|👨J[👨👩]|👩J👩)J(?:👦J👦|👧J[👦👧]|👦|👧)",
    "(?:🧑J)?🧑J🧒(?:J🧒)?",
    "(?:👩T?J❤VJ(?:💋J)?[👨👩]T?|👨T?J❤VJ(?:💋J)?👨T?|🧑TJ❤VJ(?:💋J)?🧑T)",
    "(?:🧑T?J🤝J🧑T?|👩TJ🤝J[👨👩]T|👨TJ🤝J👨T|🫱TJ🫲T)",
    # What people do and have.
    "AT?J[🦯🦼🦽]J➡V",
    "AT?J(?:[⚕⚖✈]V|[🌾🍳🍼🎓🎤🎨🏫🏭💻💼🔧🔬🚀🚒🦯🦼🦽🦰🦱🦲🦳])",
    "🧑T?J(?:🎄|🩰)",
    "[🚶🏃🧎]T?(?:J[♀♂]V)?J➡V",
    "(?:[🏃🏄🏊👮👰👱👳👷💁💂💆💇🙅🙆🙇🙋🙍🙎🚣🚴🚵🚶🤦🤵🤷🤸🤹🤽🤾🦸🦹🧍🧎🧏🧔🧖🧗🧘🧙🧚🧛🧜🧝👯🤼]T?|[⛹🏋🏌🕵](?:V|T)|[🧞🧟])J[♀♂]V",
    # Flags, animals, hearts, faces and things.
    "🏳VJ(?:🌈|⚧V)|🏴J☠V|🏴\U000e0067\U000e0062(?:\U000e0065\U000e006e\U000e0067|\U000e0073\U000e0063\U000e0074|"
    "\U000e0077\U000e006c\U000e0073)\U000e007f",
    "🐕J🦺|🐈J⬛|🐻J❄V|🐦J[⬛🔥]|❤VJ[🔥🩹]|👁VJ🗨V|😮J💨|😵J💫|😶J🌫V|🙂J[↔↕]V|🍋J🟩|🍄J🟫|⛓VJ💥",
    # A keycap, and one character that is drawn as an emoji for its selector.
    "[#*0-9]V\u20e3",
    f"{_TEXT_STYLE}V",
)
_EMOJI = re.compile(
    "|".join(
        sequence.replace("J", _JOINER).replace("V", _EMOJI_STYLE).replace("T", _TONE).replace("A", _ADULT)
        for sequence in _SEQUENCES
    )
    + r"|(?s:.)"
)


def split_hidden(text: str) -> Iterator[tuple[str, bool]]:
    """The text in characters, each with whether it has to be escaped to be seen; an emoji of several is one part."""
    for found in _EMOJI.finditer(text):
        yield found[0], len(found[0]) == 1 and is_hidden(found[0])


def has_hidden(text: str) -> bool:
    """Whether anything of the text has to be escaped to be seen."""
    if text.isascii():
        return not text.isprintable()
    # Where no character could be hidden, no emoji is looked for.
    return any(map(is_hidden, text)) and any(hidden for _, hidden in split_hidden(text))


def is_hidden(char: str) -> bool:
    """Whether a character by itself is obeyed by a terminal, or not seen: a control, direction or format character, a
    byte that is not UTF-8, a variation selector."""
    return not char.isprintable() or "\ufe00" <= char <= "\ufe0f" or unicodedata.category(char) in ("Cc", "Cf", "Cs")
