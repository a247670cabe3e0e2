"""Whether somebody says in French that they do not want to be called any more.

With and without `ne`, to `vous` and `tu`. What is only not now ("ne m'appelez pas demain") or is
about others ("il ne m'appelle plus") is let pass.
"""

from __future__ import annotations

from typing import Final

from vantum.core.opt_out_table import END, Table

_CALL: Final = (
    r"(?:m'appel(?:ez|le)|(?:me|nous) (?:appel(?:ez|le)|rappel(?:ez|le)|contact(?:ez|e)|"
    r"telephon(?:ez|e)|derang(?:ez|e)|harcel(?:ez|e)|sollicit(?:ez|e)))"
)
_TO_CALL: Final = (
    r"(?:m'appeler|(?:me|nous) (?:appeler|rappeler|contacter|telephoner|deranger|harceler|"
    r"solliciter|demarcher))"
)
_CALLED: Final = r"(?:appele|contacte|rappele|derange|demarche|sollicite|harcele)(?:e|s|es)?"
_MORE: Final = r"(?:plus jamais|jamais plus|plus)"
#: What may follow "arrêtez de m'appeler" with that meaning; else it is a name.
_ON: Final = (
    r"(?=$| [.](?: |$)| (?:s'il|svp|maintenant|tous|tout|toute|sans|a|au|chez|sur|et|mais|c'est|je|"
    r"j'ai|merci|pour|avec|sinon|ou|ici|constamment|en|pendant)\b)"
)
_HERE: Final = (
    r"(?: (?:ici|chez (?:moi|nous)|a? ?(?:ce|mon|notre|cette|ma) (?:numero|ligne|maison)))"
)
_LIST: Final = (
    r"(?:listes?|fichiers?|bases?|systemes?|registres?|repertoires?|donnees|annuaires?|contacts)"
)
_OF_LIST: Final = (
    rf"(?: (?:de|des|du) (?:(?:votre|vos|la|les|cette|ces|ta|tes|toutes|tous) )*(?:\w+ )?{_LIST}\b)"
)
_TAKE: Final = (
    r"(?:retir|enlev|supprim|effac|ray|sort|ot|raye|desinscri(?:v)?|desabonn)(?:ez|e|er|s|ir|re)"
)
_MY_NUMBER: Final = (
    r"(?:(?:mon|notre|ce) (?:numero|nom|contact|telephone)(?: de telephone)?|mes (?:coordonnees|"
    r"donnees))"
)
_WANT: Final = r"(?:veux|voudrais|souhaite|souhaiterais|desire|voulons|souhaitons)"

_REQUESTS: Final = (
    rf"(?:ne |n')?{_CALL} {_MORE}\b",
    rf"(?:^|[.] |plait )(?:ne )?{_CALL} jamais{END}",
    rf"(?:merci de|priere de|veuillez|demande de|prie de|pouvez) ne pas {_TO_CALL}",
    r"vous (?:m'appelez|me (?:rappelez|telephonez|harcelez))(?: \w+){0,4}? (?:arretez|ca suffit|"
    r"stop)"
    rf"{END}",
    rf"ne plus (?:jamais )?(?:{_TO_CALL}|etre {_CALLED}|appeler{_HERE})",
    rf"(?:ne |n')appel(?:ez|le) {_MORE}(?:{_HERE}|{END}| s'il)",
    rf"(?:ne |n'){_CALL} pas(?:{END}| (?:s'il|svp|merci|je ne)\b)",
    rf"(?:arret|cess)(?:ez|iez|e|er) (?:de |d')(?:{_TO_CALL}{_ON}|appeler(?:{_HERE}|{END}| s'il)|"
    r"telephoner)",
    r"(?:arret|cess)(?:ez|e|er) (?:avec )?(?:vos|ces|les) appels\b",
    rf"(?:ne )?{_WANT} (?:plus|pas) (?:que (?:vous |l'on |on |quelqu'un )?|qu'on )(?:m'appel\w+|"
    r"(?:me|nous) "
    rf"(?:appel|rappel|contact|telephon|derang)\w+){_ON}",
    rf"(?:ne )?{_WANT} (?:plus|pas) (?:jamais )?(?:etre {_CALLED}|recevoir (?:(?:de|d'|vos|ces|"
    r"aucun|des) ?)+"
    r"(?:\w+ )?(?:appels?|demarchage))",
    rf"ne {_WANT} (?:plus|pas) (?:d'|de vos |de ces |vos |ces )(?:autres )?appels?\b",
    rf"(?:ne )?{_WANT} plus (?:jamais )?(?:vous (?:entendre|parler)|entendre parler de vous|avoir "
    r"de vos "
    r"nouvelles)",
    rf"(?:ne )?{_WANT} (?:plus|pas) (?:etre|figurer|apparaitre) (?:sur|dans) (?:votre|vos|cette|"
    r"aucune) "
    rf"(?:\w+ )?{_LIST}\b",
    rf"(?:^|[.] |alors |et |bon |non )plus (?:d'|aucun )appels?(?:{END}| (?:s'il|svp|merci)\b)",
    rf"{_TAKE} (?:moi|nous){_OF_LIST}",
    rf"(?:me |nous |m'){_TAKE}{_OF_LIST}",
    rf"{_TAKE} {_MY_NUMBER}(?:{_OF_LIST}|{END}| (?:s'il|svp|merci)\b)",
    r"(?:desinscri\w+|desabonn\w+) moi\b",
    rf"(?:etre|soit|sois) (?:retire|enleve|supprime|raye)e?s?{_OF_LIST}",
    r"mettez (?:moi|mon numero) (?:sur|dans) (?:votre|la|une) liste (?:rouge|noire|d'oppo|de non|"
    r"des)",
    r"je suis (?:inscrite? )?(?:a|sur|chez) (?:(?:la )?liste )?(?:bloctel|rouge|d'opposition)\b",
    r"(?:laiss(?:ez|e) (?:moi|nous) tranquilles?|(?:fich|fout)(?:ez|s|u)? (?:moi|nous) la paix)\b",
    r"(?:retire|revoque) mon (?:consentement|accord|autorisation)\b",
    r"m'oppose a (?:tout|toute|vos|ces|votre|etre) \w*",
    r"(?:pas|jamais) (?:donne|autorise) (?:mon (?:accord|consentement) )?(?:a |pour )"
    r"(?:m'appeler|me (?:contacter|telephoner)|ces appels|vos appels)",
    rf"(?:oubli(?:ez|e)|perd(?:ez|s)|jet(?:ez|te)) mon numero{END}",
)

FRENCH: Final = Table(
    _REQUESTS,
    unless_before=r"ils?|elles?|on|qui|personne|pourquoi(?: vous| tu)?|si vous|pas|ne|"
    r"ne (?:me|nous|le|les)|(?:mon|ma|mes|leur|nos|les|la|le) \w+|(?:a|ont) (?:dit|demande) (?:de|"
    r"d')|"
    r"j'ai",
    unless_after=r"(?:tot|tard|souvent|assez|trop|vite|longtemps|avant|apres|demain|aujourd|ce "
    r"(?:soir|matin)|"
    r"cette semaine|le (?:lundi|mardi|mercredi|jeudi|vendredi|samedi|dimanche|matin|soir)|lundi|"
    r"mardi|"
    r"mercredi|jeudi|vendredi|samedi|dimanche|pendant|quand|jusqu|a (?:cette heure|\w+ heures)|en "
    r"ce "
    r"moment|comme|monsieur|madame|mademoiselle|que)",
)
