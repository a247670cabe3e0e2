"""Whether somebody says in English that they do not want to be called any more.

A transcript has hardly any punctuation and many ways to say it, so this is a table of requests,
each with what may stand around it. What only sounds like one is let pass: "don't stop calling me",
"they never stop calling me", "stop calling me Bob", "don't call me before nine". In between, who
asks for it twice is better served by a list that is a name too long than by a third call: where a
phrase can be meant both ways it counts.
"""

from __future__ import annotations

import re
from typing import Final

from vantum.core.opt_out_table import any_of, starting_a_word

_CALL: Final = r"(?:call|phone|ring|contact|dial|bother|disturb|harass|text)"
_CALLING: Final = r"(?:calling|phoning|ringing|contacting|dialing|dialling|bothering|harassing)"
_WHOM: Final = (
    r"(?:(?:me|us)(?: here| at (?:this number|work|home)| on (?:this|my) \w+)?|here|"
    r"this (?:number|house|line|phone|office)|"
    r"(?:my|our)(?: [\w']+)? (?:number|phone|cell|mobile|house|home|office|line|family|wife|"
    r"husband|mother|mom|father|dad|parents|son|daughter))"
)
_NOT: Final = r"(?:don'?t|do not)"
_CALLS: Final = r"(?:these|those|your|the|all (?:these|those|the|your)) (?:\w+ )?calls"
_YOU: Final = r"(?:you(?: all| guys| people)?|y'?all|your (?:people|company|system|robots?))"

#: What may follow "stop calling me" or "don't call me" with that meaning; else it is a name
#: ("stop calling me sir") or a time ("don't call me tomorrow").
_ON: Final = (
    r"(?=$| [.](?: |$)| (?:again|any ?more|ever|please|pls|now|right|immediately|already|back|"
    r"at all|"
    r"about|from|because|'?cause|all the time|all day|every|so (?:much|often)|constantly|in any|by "
    r"phone|alright|all right|"
    r"with (?:this|these|that|your)|i|i'm|i've|i'd|i'll|i am|we|we're|you|you're|this is|that's|"
    r"it's|it is|she's|he's|they're|there's|and|or|but|thank|thanks|okay|ok|take|remove|delete|put|"
    r"don'?t|do not|no|"
    r"never|stop|goodbye|bye|man|dude|bro|mate|my number|your|for (?:this|that|any|god)|on "
    r"(?:this|my)|"
    r"at (?:this|my|work|home|all))(?: |$))"
)
#: "Not again today" is no "never again".
_FOR_GOOD: Final = (
    r"(?!(?: (?:again|any ?more|back|please|here|at all))* (?:(?:right )?now\b|at the moment|until|"
    r"till|before|after|today|"
    r"tonight|tomorrow|later|next|during|while|when|"
    r"so (?:early|late)|for (?:a|the next)|in the|on (?:mon|tues|wednes|thurs|fri|satur|sun)day|"
    r"this (?:morning|afternoon|evening|week|month)|at (?:night|\w+ (?:a\.?m|p\.?m|o'clock)))\b)"
)
_AGAIN: Final = rf"(?:again|any ?more|ever again|ever|back|at all)\b{_FOR_GOOD}"
_END: Final = (
    r"(?=$| [.](?: |$)| (?:please|and|or|now|okay|ok|alright|already|thank|thanks|i|i'm|man|dude|"
    r"bro|buddy|pal|you)\b)"
)
#: Whom, or nobody in particular, or "again": all that ends a request not to call.
_TAIL: Final = rf"(?: {_WHOM}{_ON}{_FOR_GOOD}|{_END}| {_AGAIN})"
_LIST: Final = (
    r"(?:list|lists|database|data base|system|systems|records?|files?|books?|directory|crm|"
    r"contacts|"
    r"roster|rotation|sheet)"
)
_MINE: Final = (
    r"(?:me|us|this|it|my \w+|our \w+|my name and (?:phone )?number|(?:my|our) (?:\w+ )?(?:number|"
    r"name|info|information|"
    r"details|data)|"
    r"this (?:phone )?number|that number)"
)

_STOP: Final = (
    rf"(?:stop|quit|cease) {_CALLING}(?: {_WHOM}{_ON}|{_END}|(?= again| any ?more| ever))",
    r"(?:stop|quit|cease) (?:with )?(?:these|those|your|the|all (?:these|those|the)) "
    r"(?:\w+ )?(?:phone )?calls",
    rf"(?:stop|quit|cease) all (?:\w+ )?calls{_END}",
    rf"{_CALLS} (?:need|have|has|got|must) (?:to )?(?:stop|end){_END}",
    rf"(?:enough|that's it|knock it off) (?:with|of) {_CALLS}{_END}",
    rf"(?:keep|kept|always|still) calling {_WHOM} (?:so |just |please |and ){{0,2}}stop"
    rf"(?: it| this| that)?{_END}",
)
_ALONE: Final = (rf"leave (?:me|us) alone{_END}",)
_DONT: Final = (
    # "never call me" is mostly a complaint about friends: it needs "again".
    rf"{_NOT} (?:you )?(?:ever |even |dare |you dare (?:to )?)?{_CALL} {_WHOM}{_ON}{_FOR_GOOD}",
    rf"(?:{_NOT}|never)(?: you(?: all| guys| people)?)?(?: ever| even| dare)? {_CALL}(?: {_WHOM})? "
    rf"{_AGAIN}",
    rf"{_NOT} (?:ever )?{_CALL}{_END}",
    rf"{_NOT} (?:keep|be|go on) {_CALLING}(?: {_WHOM}{_ON}|{_END})",
    rf"{_YOU}(?: please| just)* (?:not to|to not|not) (?:ever )?{_CALL}{_TAIL}",
    r"(?:you're|you are|y'?all are) (?:not|no longer) (?:allowed|permitted|supposed|welcome) "
    rf"to {_CALL}"
    rf"{_TAIL}",
    rf"{_NOT} bother {_CALLING}{_TAIL}",
    rf"(?:{_YOU}|you'd) (?:can'?t|cannot|may not|must not|mustn'?t|shouldn'?t|should not|"
    r"(?:had )?better not|"
    rf"may no longer|are not allowed to) (?:ever )?{_CALL}{_TAIL}",
    rf"if {_YOU} (?:didn'?t|did not|wouldn'?t|would not|don'?t|do not|never) {_CALL}"
    rf"(?: {_WHOM})? {_AGAIN}",
    rf"(?:rather|prefer|prefer that|prefer if) {_YOU} (?:didn'?t|did not|don'?t|do not|wouldn'?t) "
    rf"{_CALL}{_TAIL}",
    rf"{_YOU} {_NOT} {_CALL}(?: {_WHOM})? (?:again|any ?more|ever again)\b{_FOR_GOOD}",
)
_WANT: Final = (
    r"(?:how (?:do|can) (?:i|we)|what (?:do|can) (?:i|we) (?:(?:have to|need to) )?do to) "
    rf"(?:stop|end|block)(?: getting| receiving)? {_CALLS}{_END}",
    rf"(?:^|[.] |want |please )no (?:more|further) contact{_END}",
    rf"(?:want|need|make|like|get) {_CALLS} (?:to )?(?:stop|end){_END}",
    rf"(?:if|rather|wish) {_YOU} (?:just |please |finally )?(?:stopped|quit) {_CALLING}"
    rf"(?: {_WHOM}{_ON}|{_END})",
    rf"{_NOT} want (?:anybody|anyone|nobody|no one) (?:to {_CALL}|{_CALLING}){_TAIL}",
    rf"(?:nobody|no one) (?:ever )?{_CALL}s(?: {_WHOM})? {_AGAIN}",
    rf"(?:i'm|i am|we're|we are) (?:not|never) (?:called|contacted) {_AGAIN}",
    rf"(?:{_NOT}|no longer|never|didn'?t) (?:ever )?(?:want|wish|like|need|care) (?:for )?{_YOU} "
    rf"(?:to (?:be )?)?(?:{_CALL}|{_CALLING}){_TAIL}",
    rf"(?:{_NOT}|no longer|never|rather not|prefer not|not)(?: ever)?(?: want| wish| like| care|"
    r" agree|"
    rf" consent)?(?: to)? be (?:called|phoned|contacted|bothered|disturbed){_ON}{_FOR_GOOD}",
    rf"(?:{_NOT}|no longer) (?:(?:want|wish)(?: to (?:get|receive|have|take))?|need(?! more)) "
    r"(?:any |"
    rf"any ?more |more |these |your |further |such |those )+(?:\w+ )?calls?\b{_FOR_GOOD}",
    rf"(?:{_NOT}|no longer) (?:want|wish) (?:to (?:get|receive|have|take) )?(?:\w+ )?calls from "
    rf"{_YOU}{_FOR_GOOD}",
    r"(?:rather|prefer) not (?:to )?(?:get|receive|have) (?:any |more |these |your |such |those )+"
    rf"(?:\w+ )?calls?\b{_FOR_GOOD}",
    rf"(?:make sure|ensure|see to it)(?: that)? (?:i|we) (?:{_NOT}|never|won'?t) (?:ever )?(?:get|"
    r"receive) (?:called|contacted|(?:any |more |another |any ?more |further )+(?:\w+ )?calls?)\b"
    rf"{_FOR_GOOD}",
    rf"(?:{_NOT}|no longer) (?:want|wish|need|like) to be on (?:your|this|that|any|these) "
    rf"(?!wait)(?:\w+ ){{0,3}}?{_LIST}\b",
    rf"(?:{_NOT}|never|no longer) (?:consent|agree) to (?:being|be) (?:called|contacted)\b",
    rf"(?:{_NOT}|never|no longer) (?:consent|agree) to (?:this|these|your|any|such) "
    r"(?:\w+ )?calls?\b(?! (?:being|to be|recording)\b)",
    rf"(?:{_NOT}|never|no longer) (?:ever )?(?:want|wish|care) to hear (?:anything )?(?:\w+ "
    r")?from "
    rf"{_YOU}(?: ever)?(?: again| any ?more)?{_END}",
    r"(?:^|[.] |please |want |so |just |and |okay |ok ){1,3}no (?:more|further) "
    rf"(?:of (?:these|those|your) )?(?:\w+ )?calls{_END}",
)
_LISTED: Final = (
    rf"(?:take|remove|delete|drop|get|scratch|strike|cross|pull|erase|wipe) {_MINE} "
    r"(?:off|from|out of|off of) (?:of )?(?:your|y'?all'?s|the|this|that|these|those|any|all|"
    rf"whatever)\b(?! e ?mail)(?: \w+'?\w*){{0,5}}? {_LIST}\b",
    r"(?:remove|delete|erase) (?:all )?(?:of )?(?:my|our|this) (?:\w+ )?(?:number|contact|"
    rf"contacts|details|data|information|info)(?: off)?{_END}",
    rf"(?:take|get) (?:my|our|this) (?:\w+ )?(?:number|name|contact|contacts|details) off{_END}",
    r"block (?:my|our|this) (?:\w+ )?number (?:from|in|on) your\b",
    r"(?:my|our|this) (?:\w+ )?(?:number|name|data|details|information) (?:removed|deleted|"
    r"taken off)"
    rf"(?:{_END}| (?:from|off) (?:of )?(?:your|the|this|that|any|all)\b)",
    rf"(?:remove me|want to be (?:removed|taken off)){_END}",
    r"unsubscribe (?:me|us)\b",
    r"(?:^|[.] )(?:please |just )?(?:unsubscribe|opt out|do not call list please|remove(?: "
    r"me)?(?= please))"
    rf"{_END}",
    rf"(?:take|get) (?:me|us) off{_END}",
    rf"{_MINE} (?:is|are|gets|get|be) (?:taken off|removed from|deleted from|off)(?: of)? (?:your|"
    rf"the|this|that|any|all)\b(?: \w+'?\w*){{0,5}}? {_LIST}\b",
    r"(?:be|get) (?:put|placed|added) (?:on|to) (?:your|the|a)(?: \w+)? (?:do not call|don'?t "
    r"call|"
    r"no call)\b",
    r"(?:i'm|i am|we're|we are|number is|phone is) on (?:the|a)(?: national)? registry\b",
    r"(?:violating|violation of) the (?:national )?do not call\b",
    r"(?:be|get|been) (?:taken off|removed from|deleted from|off)(?: of)? (?:your|the|this|"
    r"that|any|all)\b"
    rf"(?: \w+'?\w*){{0,5}}? {_LIST}\b",
    rf"(?:taking|removing|deleting|taken|removed|took|deleted) {_MINE} (?:off|from)(?: of)? "
    r"(?:your|the|this|that|any|"
    r"all)\b"
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
    rf"(?:(?:if|next time|when|every time) you (?:ever )?{_CALL}(?: {_WHOM})? (?:again|any ?more|"
    rf"one more time|ever again)|next time you {_CALL}(?: {_WHOM})?|(?:^|[.] ){_CALL} {_WHOM} "
    r"(?:again|one "
    r"more time) and) (?:i'll|i will|i'm|"
    r"i am|we'll|we will|we're)[\w' ]{0,40}? (?:su(?:e|ing) (?:you|your|y'all)|report(?:ing)? "
    r"(?:you|"
    r"this|it|your)|police|cops|lawyer|attorney|legal|court|ftc|fcc|complain(?:ing)?|complaint)\b",
    r"(?<!is )this is harassment\b",
    rf"(?:^|[.] |please |(?:this|that) is (?:a|my|your) )cease and desist{_END}",
)
_OUT: Final = (
    rf"(?:{_NOT}|did not|didn'?t|never|no longer) (?:give|gave|given|have|had) (?:you )?"
    rf"(?:my |our |any |the )?(?:permission|consent) to {_CALL}\b",
    r"opt (?:me|us) out\b",
    r"(?:i'm|i am|we're|we are) opting out\b",
    r"(?:want|wish|like|please|how do i|can i|let me|i'll|i will|i|we) (?:to )?opt out\b",
    rf"(?:lose|forget|throw away|get rid of) (?:my|our|this) (?:phone )?number{_END}",
    r"forget (?:that )?you (?:ever )?(?:had|got|have) (?:my|our|this) (?:phone )?number\b",
    r"(?:revok|withdraw|tak)(?:e|ing|)(?: back)? (?:my|our|any|all) (?:consent|permission)\b",
)
#: Somebody else's calls, or our caller's own doing: "they stop …", "I'll stop …".
_OTHERS: Final = re.compile(
    r"\b(?:i|we|they|he|she|it|them|him|her|who|(?<!you )(?<!your )people|friends?|mother|"
    r"father|mom|dad|wife|husband|boss|"
    r"son|daughter|brother|sister|ex|scammers?|others)(?:'ll|'d|'ve)?"
    r"(?: (?:to|will|would|should|could|can|did|do|didn't|don't|won't|wouldn't|can't|might|must|"
    r"just|finally|"
    r"even|really|never|not|have|had|has|ever)){0,4} $|\bwish (?:the|my|our|that|those|these) \w+ "
    r"would (?:just |finally )?$"
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
    r"(?:\bnot|n't|\bdont|\bnever) (?:really |even )?(?:"
    r"(?:saying|asking|telling|say|said|ask|asked|mean|meant)(?: (?!again\b)[\w']+){0,4}|"
    r"(?:want|wanted|need|trying)(?: (?:you|them|him|her|anybody|anyone|to|ever|just|have)){0,4}"
    r") $|\bnever (?:tell|told)(?: [\w']+){0,3} $"
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
    (starting_a_word(pattern), kind)
    for kind, patterns in (
        ("stop", (*_STOP, *_ALONE)),
        ("dont", _DONT),
        ("want", _WANT),
        ("listed", _LISTED),
        ("out", (*_OUT, *_THREAT)),
    )
    for pattern in patterns
)
_ANY_REQUEST: Final = any_of(pattern for pattern, _ in _REQUESTS)


def english_opt_out(transcript: str) -> str | None:
    """The words by which somebody asks not to be called again; None: nobody does.

    Args:
        transcript: of one turn; its end need not be the sentence's.

    Returns:
        The words as they were matched: small letters, without punctuation.
    """
    said = normal(transcript)
    if _ANY_REQUEST.search(said) is None:
        return None
    for pattern, kind in _REQUESTS:
        for found in pattern.finditer(said):
            if _is_meant(kind, found[0], said[: found.start()]):
                return found[0].replace(" .", "").replace(". ", "").strip()
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
            return not re.search(
                r"(?<!can )(?<!could )(?<!would )(?<!will )\b(?:they|he|she|you|who) "
                r"(?:just |really )?$",
                before,
            )


#: They stand anywhere, and mean nothing.
_OATHS: Final = re.compile(r"\b(?:f[u*]c?k(?:ing|in)|freaking|bloody|(?:god ?)?damn(?:ed)?) ")


def normal(text: str) -> str:
    """Small letters, single spaces, and ` .` for whatever ends a clause."""
    plain = text.lower().replace("’", "'").replace("-", " ").replace("wanna", "want to")
    plain = _OATHS.sub("", plain)
    plain = re.sub(r"(?<=\d)[.,](?=\d)|[^\w\s'.!?;,:…–—]", " ", plain)
    plain = re.sub(r"\b([ap])\.\s?m\b\.?", r"\1m", plain)
    return " ".join(re.sub(r"[.!?;,:…–—]+", " . ", plain).split())
