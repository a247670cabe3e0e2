"""Whether somebody says in German that they do not want to be called any more.

To `Sie`, `ihr` and `du`. What is only not now ("rufen Sie mich nicht mehr am Montag an") or is
about others ("die rufen mich nicht mehr an") is let pass.
"""

from __future__ import annotations

from typing import Final

from vantum.core.opt_out_table import END, Table

_NEVER: Final = (
    r"(?:nicht mehr|nie wieder|nie mehr|niemals wieder|nicht wieder|nicht noch ?mal|"
    r"nicht noch einmal|kein einziges mal mehr|nicht weiter|nicht staendig|nicht standig)"
)
_WHOM: Final = (
    r"(?:mich|uns|hier|bei (?:mir|uns)|(?:auf |unter )?(?:diese|dieser|meine|meiner) (?:\w*nummer))"
)
_FILL: Final = (
    r"(?:bitte|doch|endlich|jetzt|hier|einfach|ab sofort|auch|da|uberhaupt|ja|bloss|gefalligst|"
    r"wirklich)"
)
_CALL_TO: Final = r"(?:anzurufen|zu (?:belastigen|storen|nerven|kontaktieren|terrorisieren))"
_CALLED: Final = r"(?:angerufen|kontaktiert|belastigt|gestort|behelligt)"
_LIST: Final = (
    r"(?:\w*listen?|\w*verteilern?|\w*datenbank|\w*system|kartei|datei|\w*datei|adressbuch|"
    r"unterlagen|daten)"
)
_OF_LIST: Final = (
    r"(?:von|aus) (?:(?:ihrer|ihrem|ihren|der|dem|den|dieser|diesem|allen|all|eurer|eurem|deiner) "
    r")+"
    rf"(?:\w+ )?{_LIST}\b"
)
_ME: Final = (
    r"(?:mich|uns|(?:meine|unsere|diese|die) (?:\w*nummer)|meinen namen|(?:meine|unsere) "
    r"(?:\w*daten))"
)
_TAKE: Final = r"(?:streichen|nehmen|loschen|entfernen|tragen|werfen|schmeissen)"
_ASK: Final = rf"(?:(?:konn\w+|wurd\w+|mog\w+) (?:sie|ihr|du) (?:{_FILL} )*)?"
_WANT: Final = r"(?:mochte|mochten|will|wollen|wunsche|wunschen|brauche)"

_REQUESTS: Final = (
    rf"ruf(?:en sie|t|e)?(?: {_FILL})*(?: {_WHOM})?(?: {_FILL})* {_NEVER}(?: {_FILL})*(?: "
    rf"{_WHOM})? an\b",
    rf"ruf(?:en sie|t|e)?(?: {_FILL})*(?: {_WHOM})?(?: {_FILL})* nicht(?: {_FILL})* an(?:{END}| "
    r"bitte\b)",
    rf"(?:^|[.] |bitte |danke )(?:{_NEVER}) anrufen{END}",
    rf"(?:kontaktier|belastig|stor|nerv)(?:en sie|t|e)?(?: {_FILL})* (?:mich|uns)(?: {_FILL})* "
    rf"{_NEVER}{END}",
    rf"(?:ich |wir )?{_WANT} (?:(?!heute|morgen|jetzt|gerade|vor|am|um)\w+ ){{0,3}}?(?:{_NEVER}|"
    r"nicht)(?: von (?:ihnen|euch|dir))?(?: telefonisch)? "
    rf"{_CALLED} werden\b",
    rf"(?:ich |wir )?{_WANT} (?:nicht|{_NEVER}) dass (?:sie|ihr|du|jemand|irgendjemand|man) "
    rf"(?:{_WHOM} )?"
    rf"(?:{_FILL} )*(?:{_NEVER} |weiter |wieder |noch ?mal |noch einmal )?(?:anruf\w+|"
    r"kontaktier\w+)",
    rf"(?:ich |wir )?{_WANT} dass (?:sie|ihr|du) (?:{_WHOM} )?(?:{_FILL} )*{_NEVER} (?:anruf\w+|"
    r"kontaktier\w+)",
    rf"(?:horen sie|hort|hor)(?: {_FILL})* (?:auf|damit auf)(?: {_FILL})* "
    r"(?:(?:mich|uns|hier|bei (?:mir|uns)|standig|dauernd|immer|immer wieder|jeden tag) "
    rf")*{_CALL_TO}",
    rf"(?:unterlassen sie|stellen sie)(?: {_FILL})* (?:diese|die|ihre|weitere|jegliche|samtliche) "
    r"(?:weiteren )?(?:\w*anrufe)\b",
    rf"(?:ich |wir )?{_WANT} (?:{_FILL} )*(?:gar )?(?:keine|keinerlei) (?:weiteren |solchen |"
    r"solche )?"
    r"(?:\w*anrufe)(?: (?:mehr|von ihnen|dieser art)\b|(?=$| [.](?: |$)| bitte\b))",
    r"(?:^|[.] |bitte |und |jetzt |also )(?:keine (?:\w*anrufe) mehr|keine weiteren (?:\w*anrufe))"
    rf"(?:{END}| (?:bitte|danke|von ihnen|ja)\b)",
    rf"(?:ich |wir )?{_WANT} (?:{_NEVER} |nichts mehr )(?:etwas |was )?von (?:ihnen|euch|ihrer "
    r"firma) horen",
    rf"{_TAKE} sie(?: {_FILL})* {_ME}(?: {_FILL})* {_OF_LIST}",
    rf"{_ASK}{_ME}(?: {_FILL})* {_OF_LIST} (?:{_TAKE}|streichst|streicht|nimmst|nehmt|loscht|"
    r"austragen|"
    r"gestrichen|geloscht|genommen|entfernt)\b",
    rf"(?:streich|nimm|losch|entfern|streicht|nehmt|loscht|entfernt)e?(?: {_FILL})* {_ME}(?: "
    rf"{_FILL})* "
    rf"{_OF_LIST}",
    rf"(?:nehmen|streichen) sie(?: {_FILL})* {_ME}(?: {_FILL})* (?:raus|heraus|runter)\b",
    rf"(?:loschen|streichen|entfernen|sperren) sie(?: {_FILL})* (?:mich|uns)(?:{END}| bitte\b)",
    rf"{_NEVER} (?:mich )?anzurufen\b",
    rf"(?:ich )?(?:verbiete|untersage) (?:es )?(?:ihnen|euch|dir)(?: {_WHOM})?(?: {_FILL})* "
    r"(?:weiter(?:hin)? )?(?:anzurufen|jeden (?:weiteren )?(?:anruf|kontakt))",
    rf"(?:loschen|entfernen|vergessen|streichen) sie(?: {_FILL})* (?:meine|unsere|diese) "
    rf"(?:\w*nummer|\w*daten)(?:{END}| (?:bitte|und)\b)",
    rf"{_ASK}(?:meine|unsere|diese) (?:\w*nummer|\w*daten)(?: {_FILL})* (?:loschen|streichen|"
    r"entfernen|"
    rf"vergessen){END}",
    rf"(?:ich |wir )?{_WANT} {_OF_LIST} (?:\w+ )?(?:gestrichen|geloscht|genommen|entfernt) werden",
    rf"(?:setzen|nehmen|tragen) sie(?: {_FILL})* {_ME}(?: {_FILL})* (?:auf|in) (?:die|ihre|eine) "
    r"(?:sperrliste|robinsonliste|blacklist|schwarze liste|nicht anrufen)",
    r"(?:ich |wir )?(?:stehe|bin|stehen) (?:\w+ )?(?:auf|in) der (?:robinsonliste|sperrliste|"
    r"robinson liste)\b",
    r"lass(?:en sie|t)? (?:mich|uns)(?: bitte| endlich| doch)* in (?:ruhe|frieden)\b",
    r"(?:ich )?widerrufe (?:\w+ )?(?:meine|jede|jegliche) (?:einwilligung|zustimmung|erlaubnis)\b",
    r"(?:ich )?widerspreche (?:\w+ )?(?:weiteren|ihren|jeglichen|allen|solchen|diesen) "
    r"\w*anrufen\b",
    r"(?:keine|nie eine|niemals eine|nie meine) (?:einwilligung|zustimmung|erlaubnis) (?:fur|zu|"
    r"zum) "
    r"\w* ?\w*anruf\w*",
    rf"(?:sie|ihr) (?:durfen|sollen|sollt|durft) (?:\w+ ){{0,2}}?{_NEVER} anrufen\b",
)

GERMAN: Final = Table(
    _REQUESTS,
    unless_before=r"warum|wieso|weshalb|die|sie|ihr|wir|ich|er|es|kunden|kinder|leute|freunde|"
    r"(?:meine|unsere|seine|ihre) \w+|sagte|meinte|nicht|bitte nicht",
    unless_after=r"(?:wenn|bevor|ehe|solange|bis|vor|nach|heute|morgen|am|um|im)",
)
