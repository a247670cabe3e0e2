"""Whether somebody says that they do not want to be called any more.

A transcript has hardly any punctuation and many ways to say it, so this is a table of requests,
each with what may stand around it. What only sounds like one is let pass: "don't stop calling me",
"they never stop calling me", "stop calling me Bob", "don't call me before nine". In between, who
asks for it twice is better served by a list that is a name too long than by a third call: where a
phrase can be meant both ways it counts.

English; phrases of other languages can be added.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

_CALL: Final = r"(?:call|phone|ring|contact|dial|bother|disturb|harass|text)"
_CALLING: Final = r"(?:calling|phoning|ringing|contacting|dialing|dialling|bothering|harassing)"
_WHOM: Final = (
    r"(?:me|us|here|this (?:number|house|line|phone|office)|"
    r"(?:my|our)(?: [\w']+)? (?:number|phone|cell|mobile|house|home|office|line|family))"
)
_NOT: Final = r"(?:don'?t|do not)"
_YOU: Final = r"(?:you(?: all| guys| people)?|y'?all|your (?:people|company|system|robots?))"

#: What may follow "stop calling me" or "don't call me" with that meaning; else it is a name
#: ("stop calling me sir") or a time ("don't call me tomorrow").
_ON: Final = (
    r"(?=$| [.](?: |$)| (?:again|any ?more|ever|please|pls|now|right|immediately|already|back|"
    r"at all|"
    r"about|from|because|'?cause|all the time|all day|every|so (?:much|often)|constantly|"
    r"with (?:this|these|that|your)|i|i'm|i've|i'd|i'll|i am|we|we're|you|you're|this is|that's|"
    r"it's|it is|there's|and|or|but|thank|thanks|okay|ok|take|remove|delete|put|don'?t|do not|no|"
    r"never|stop|goodbye|bye|man|dude|bro|mate|my number|your|for (?:this|that|any|god)|on "
    r"(?:this|my)|"
    r"at (?:this|my|work|home|all))(?: |$))"
)
#: "Not again today" is no "never again".
_FOR_GOOD: Final = (
    r"(?!(?: (?:again|any ?more|back|please|here|at all))* (?:until|till|before|after|today|"
    r"tonight|tomorrow|later|next|during|while|when|"
    r"so (?:early|late)|for (?:a|the next)|in the|on (?:mon|tues|wednes|thurs|fri|satur|sun)day|"
    r"this (?:morning|afternoon|evening|week|month)|at (?:night|\w+ (?:a\.?m|p\.?m|o'clock)))\b)"
)
_AGAIN: Final = rf"(?:again|any ?more|ever again|ever|back|at all)\b{_FOR_GOOD}"
_END: Final = r"(?=$| [.](?: |$)| (?:please|and|or|now|okay|ok|thank|thanks|i|i'm)\b)"
#: Whom, or nobody in particular, or "again": all that ends a request not to call.
_TAIL: Final = rf"(?: {_WHOM}{_ON}{_FOR_GOOD}|{_END}| {_AGAIN})"
_LIST: Final = (
    r"(?:list|lists|database|data base|system|systems|records?|files?|books?|directory|crm|"
    r"contacts|"
    r"roster|rotation)"
)
_MINE: Final = (
    r"(?:me|us|this|it|my \w+|our \w+|(?:my|our) (?:\w+ )?(?:number|name|info|information|"
    r"details|data)|"
    r"this (?:phone )?number|that number)"
)

_STOP: Final = (
    rf"(?:stop|quit|cease) {_CALLING}(?: {_WHOM}{_ON}|{_END}|(?= again| any ?more| ever))",
    r"(?:stop|quit|cease) (?:with )?(?:these|those|your|the|all (?:these|those|the)) "
    r"(?:\w+ )?(?:phone )?calls",
    rf"(?:stop|quit|cease) all (?:\w+ )?calls{_END}",
)
_ALONE: Final = (rf"leave (?:me|us) alone{_END}",)
_DONT: Final = (
    # "never call me" is mostly a complaint about friends: it needs "again".
    rf"{_NOT} (?:you )?(?:ever |even |dare |you dare (?:to )?)?{_CALL} {_WHOM}{_ON}{_FOR_GOOD}",
    rf"(?:{_NOT}|never)(?: you)?(?: ever| even| dare)? {_CALL}(?: {_WHOM})? {_AGAIN}",
    rf"{_NOT} (?:ever )?{_CALL}{_END}",
    rf"{_NOT} (?:keep|be|go on) {_CALLING}(?: {_WHOM}{_ON}|{_END})",
    rf"{_YOU} (?:not to|to not|not) (?:ever )?{_CALL}{_TAIL}",
    rf"(?:you're|you are|y'?all are) (?:not|no longer) (?:allowed|permitted|supposed|welcome) "
    rf"to {_CALL}"
    rf"{_TAIL}",
    rf"{_NOT} bother {_CALLING}{_TAIL}",
    rf"{_YOU} (?:can'?t|cannot|may not|must not|mustn'?t|shouldn'?t|should not|(?:had )?better "
    rf"not|"
    rf"may no longer|are not allowed to) (?:ever )?{_CALL}{_TAIL}",
    rf"if {_YOU} (?:didn'?t|did not|wouldn'?t|would not|don'?t|do not|never) {_CALL}"
    rf"(?: {_WHOM})? {_AGAIN}",
    rf"{_YOU} {_NOT} {_CALL}(?: {_WHOM})? (?:again|any ?more|ever again)\b{_FOR_GOOD}",
)
_WANT: Final = (
    rf"{_NOT} want (?:anybody|anyone|nobody|no one) (?:to {_CALL}|{_CALLING}){_TAIL}",
    rf"(?:nobody|no one) (?:ever )?{_CALL}s(?: {_WHOM})? {_AGAIN}",
    rf"(?:i'm|i am|we're|we are) (?:not|never) (?:called|contacted) {_AGAIN}",
    rf"(?:{_NOT}|no longer|never|didn'?t) (?:ever )?(?:want|wish|like|need|care) (?:for )?{_YOU} "
    rf"(?:to (?:be )?)?(?:{_CALL}|{_CALLING}){_TAIL}",
    rf"(?:{_NOT}|no longer|never|rather not|prefer not|not)(?: ever)?(?: want| wish| like| care|"
    rf" agree|"
    rf" consent)?(?: to)? be (?:called|phoned|contacted|bothered|disturbed){_ON}{_FOR_GOOD}",
    rf"(?:{_NOT}|no longer) (?:want|wish|need)(?: to (?:get|receive|have|take))? (?:any |any "
    rf"?more |"
    rf"more |these |your |further |such |those )+(?:\w+ )?calls?\b{_FOR_GOOD}",
    rf"(?:{_NOT}|never|no longer) (?:ever )?(?:want|wish|care) to hear (?:anything )?(?:\w+ "
    rf")?from "
    rf"{_YOU}(?: ever)?(?: again| any ?more)?{_END}",
    rf"(?:^|[.] |please |want |so |just |and |okay |ok ){{1,3}}no (?:more|further) (?:\w+ "
    rf")?calls{_END}",
)
_LISTED: Final = (
    rf"(?:take|remove|delete|drop|get|scratch|strike|cross|pull|erase|wipe) {_MINE} "
    rf"(?:off|from|out of|off of) (?:of )?(?:your|the|this|that|these|those|any|all|whatever)\b"
    rf"(?: \w+'?\w*){{0,5}}? {_LIST}\b",
    rf"(?:take|remove|delete|erase) (?:my|our|this) (?:\w+ )?(?:number|contact|contacts|details|"
    rf"data|"
    rf"information|info)(?: off)?{_END}",
    rf"(?:my|our|this) (?:\w+ )?(?:number|name|data|details|information) (?:removed|deleted|"
    rf"taken off)"
    rf"(?:{_END}| (?:from|off) (?:of )?(?:your|the|this|that|any|all)\b)",
    rf"(?:remove|unsubscribe) me{_END}",
    rf"(?:take|get) (?:me|us) off{_END}",
    rf"(?:be|get|been) (?:taken off|removed from|deleted from|off)(?: of)? (?:your|the|this|"
    rf"that|any|all)\b"
    rf"(?: \w+'?\w*){{0,5}}? {_LIST}\b",
    rf"(?:taken|removed|took|deleted) {_MINE} (?:off|from)(?: of)? (?:your|the|this|that|any|"
    rf"all)\b"
    rf"(?: \w+'?\w*){{0,5}}? {_LIST}\b",
    rf"(?:want|like) (?:to be )?off (?:of )?(?:your|this|the|that) (?:\w+ ){{0,3}}{_LIST}\b",
    rf"(?:put|add|place|get) {_MINE} (?:on|to|onto) (?:your|the|a|that|any)(?: \w+)? "
    r"(?:do not call|don'?t call|no call)\b",
    r"(?:i'm|i am|we're|we are|number is|phone is|number's) (?:already |also |registered )?on "
    r"(?:the|a|your)"
    r"(?: \w+)? (?:do not call|don'?t call|no call)\b",
)
#: A threat says it too: with "if you call me again" alone one may be about to be invited.
_THREAT: Final = (
    rf"if you (?:ever )?{_CALL} {_WHOM} (?:again|any ?more|one more time|ever again) (?:i'll|i "
    rf"will|"
    r"i'm going to|i am going to|we'll|we will)[\w' ]{0,40}? (?:sue|report|police|lawyer|attorney|"
    r"legal|court|ftc|fcc|complain|complaint)\b",
)
_OUT: Final = (
    rf"(?:{_NOT}|did not|didn'?t|never|no longer) (?:give|gave|given|have|had) (?:you )?"
    rf"(?:my |our |any |the )?(?:permission|consent) to {_CALL}\b",
    r"opt (?:me|us) out\b",
    r"(?:want|wish|like|please|how do i|can i|let me|i'll|i will|i|we) (?:to )?opt out\b",
    rf"(?:lose|forget|throw away|get rid of) (?:my|our|this) (?:phone )?number{_END}",
    r"(?:revoke|withdraw|take back) (?:my|our|any|all) consent\b",
)
#: Somebody else's calls, or our caller's own doing: "they stop …", "I'll stop …".
_OTHERS: Final = re.compile(
    r"\b(?:i|we|they|he|she|it|them|him|her|who|(?<!you )(?<!your )people|friends?|mother|"
    r"father|mom|dad|wife|husband|boss|"
    r"son|daughter|brother|sister|ex|scammers?|others)(?:'ll|'d|'ve)?"
    r"(?: (?:to|will|would|should|could|can|did|do|didn't|don't|won't|wouldn't|can't|might|must|"
    r"just|finally|"
    r"even|really|never|not|have|had|has|ever)){0,4} $"
)
#: Reported speech of others, and orders to our caller: "he told me to stop calling".
_REPORTED: Final = re.compile(
    r"\b(?:he|she|they|somebody|someone|everybody|everyone|people|mother|father|mom|dad|wife|"
    r"husband|boss|"
    r"son|daughter|brother|sister|friend|doctor) (?:said|says|say|told|tells|tell|asked|asks|"
    r"ask|wants|"
    r"want)(?: (?:me|us|him|her|them))?(?: (?:to|please|that))? $|"
    r"\b(?:told|asked|tell|ask|want|wants) (?:me|us|him|her|them|my \w+) (?:to )?(?:please )?$"
)
#: "I'm not asking you to …", "I didn't say …": the request is denied.
_DENIED: Final = re.compile(
    r"(?:\bnot|n't|\bdont|\bnever) (?:really |even )?(?:saying|asking|telling|say|said|ask|"
    r"asked|mean|meant|"
    r"want|wanted|need|trying)(?: (?!again\b)[\w']+){0,4} $"
)
#: "Don't stop calling"; but "if you don't stop calling" and "you never stop calling" are requests.
_NEGATED: Final = re.compile(
    r"\b(?:don'?t|do not|never|not|won'?t|will not|didn'?t|can'?t|cannot|shouldn'?t|please not)"
    r"(?: (?:ever|please|just|even))? $"
)
_YOU_NEGATED: Final = re.compile(
    rf"\b(?:(?:if|when|unless|because|since|as) {_YOU} (?:just |still |really )?(?:don'?t|do not)|"
    rf"{_YOU} (?:just |still |really )?(?:never|won'?t|will not|can'?t|cannot))"
    r"(?: (?:ever|even|just))? $"
)
#: "I don't call here any more", "they don't call me any more": nobody asks for anything.
_STATED: Final = re.compile(
    r"\b(?:i|we|they|he|she|it|who|which|that|people|friends?|kids|children|why)"
    r"(?: (?:just|really|usually|also|simply|often))? $|\b(?:the|these|those|my|our) \w+s $"
)
#: "You don't call me any more" is a complaint; with "I hope" or "if" before it, a request.
_YOU_STATED: Final = re.compile(
    rf"\b(?:why|how come|because|since|when|if|that) {_YOU} $|\b{_YOU} $"
)

_REQUESTS: Final = tuple(
    (re.compile(rf"(?<![\w']){pattern}"), kind)
    for kind, patterns in (
        ("stop", (*_STOP, *_ALONE)),
        ("dont", _DONT),
        ("want", _WANT),
        ("listed", _LISTED),
        ("out", (*_OUT, *_THREAT)),
    )
    for pattern in patterns
)


def opt_out_phrase(transcript: str, more: Sequence[str] = ()) -> str | None:
    """The words by which somebody asks not to be called again; None: nobody does.

    Args:
        transcript: what was recognised, of one turn; its end need not be the sentence's.
        more: phrases that count wherever they stand as whole words, for other languages.

    Returns:
        The words as they were matched: small letters, without punctuation.
    """
    said = _normal(transcript)
    for pattern, kind in _REQUESTS:
        for found in pattern.finditer(said):
            if _is_meant(kind, found[0], said[: found.start()]):
                return found[0].replace(" .", "").replace(". ", "").strip()
    padded = f" {said} "
    for phrase in more:
        if (words := _normal(phrase).rstrip(" .")) and f" {words} " in padded:
            return words
    return None


def _is_meant(kind: str, words: str, before: str) -> bool:
    """Whether what stands before a request leaves it one."""
    # A full stop is not looked across.
    before = before.rsplit(". ", 1)[-1]
    if _DENIED.search(before) and kind != "want":
        return False
    match kind:
        case "stop" | "listed" | "out":
            if _YOU_NEGATED.search(before):
                return True
            return not (
                _NEGATED.search(before)
                or (kind == "stop" and _OTHERS.search(before))
                or _REPORTED.search(before)
            )
        case "dont":
            if words.startswith(("you", "y'all", "yall", "if")):
                return not re.search(r"\b(?:why|not like|not that|not as if) $", before)
            return not (
                _STATED.search(before) or _YOU_STATED.search(before) or _REPORTED.search(before)
            )
        case _:
            return not re.search(r"\b(?:they|he|she|you|who) (?:just |really )?$", before)


#: They stand anywhere, and mean nothing.
_OATHS: Final = re.compile(r"\b(?:f[u*]c?k(?:ing|in)|freaking|bloody|(?:god ?)?damn(?:ed)?) ")


def _normal(text: str) -> str:
    """Small letters, single spaces, and ` .` for whatever ends a clause."""
    plain = text.lower().replace("’", "'").replace("-", " ").replace("wanna", "want to")
    plain = _OATHS.sub("", plain)
    plain = re.sub(r"(?<=\d)[.,](?=\d)|[^\w\s'.!?;,:]", " ", plain)
    plain = re.sub(r"\b([ap])\.\s?m\b\.?", r"\1m", plain)
    return " ".join(re.sub(r"[.!?;,:]+", " . ", plain).split())
