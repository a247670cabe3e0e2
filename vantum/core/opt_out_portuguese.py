"""Whether somebody says in Portuguese that they do not want to be called any more.

Brazil's and Portugal's words. What is only not now ("não me ligue amanhã") or is about others
("ele não me liga mais") is let pass.
"""

from __future__ import annotations

from typing import Final

from vantum.core.opt_out_table import END, Table

_CALL: Final = (
    r"(?:lig(?:uem?|ues|a|uem)|telefon(?:em?|es)|contat(?:em?|es)|contact(?:em?|es)|"
    r"perturb(?:em?|es)|incomod(?:em?|es)|procur(?:em?|es)|cham(?:em?|es))"
)
_TO_CALL: Final = (
    r"(?:ligar|telefonar|contatar|contactar|perturbar|incomodar|importunar|procurar|encher)"
)
_HERE: Final = (
    r"(?: (?:aqui|(?:para|pra|pro|neste|nesse) ?(?:ca|mim|nos|este|esse|meu|minha|a minha|o meu)?"
    r"(?: (?:numero|telefone|celular|telemovel|casa))?))"
)
_MORE: Final = r"(?:mais|nunca mais|novamente|de novo|outra vez|jamais)"
_ON: Final = (
    rf"(?={_HERE}?(?:$| [.](?: |$)| (?:{_MORE}|por favor|obrigad[oa]|ja|entendeu|ta|viu|ok|nao|"
    r"porque|"
    r"que|tir\w+|remov\w+|aqui|pra ca|para ca|tchau|senhora?|moc[oa])(?: |$)))"
)
_LIST: Final = (
    r"(?:listas?|cadastros?|bases?|sistemas?|registros?|registos?|bancos?|mailing|contatos)"
)
_OF_LIST: Final = (
    r"(?: (?:de|da|do|das|dos|desta|dessa|deste|desse) (?:(?:sua|suas|seu|seus|vossa|vossas|tua|"
    r"toda|"
    rf"todas|a|o) )*(?:\w+ )?{_LIST}\b)"
)
_TAKE: Final = (
    r"(?:tir(?:em?|a|ar)|retir(?:em?|a|ar)|remov(?:am?|er|e)|exclu(?:am?|ir|i)|apagu(?:em?)|apaga|"
    r"apagar|delet(?:em?|ar|a)|elimin(?:em?|ar|a)|risqu(?:em?))"
)
_MY_NUMBER: Final = (
    r"(?:(?:o )?(?:meu|nosso|este|esse) (?:numero|telefone|nome|contato|contacto|celular|cadastro)|"
    r"(?:os )?meus dados)"
)
_WANT: Final = r"(?:quero|queria|gostaria|desejo|queremos|prefiro)"
_CALLS: Final = r"(?:ligacoes|ligacao|chamadas?|telefonemas?)"

_REQUESTS: Final = (
    rf"nao (?:me|nos) {_CALL} (?:{_MORE})\b",
    rf"nao (?:me|nos) (?:volt(?:em?|es)|torn(?:em?|es)) a {_TO_CALL}",
    rf"nao (?:volt(?:em?|es)|torn(?:em?|es)) a (?:me |nos )?{_TO_CALL}(?: me| nos)?",
    r"nao (?:me|nos) (?:lig(?:uem?|ues)|telefonem?|contatem?|contactem?|perturbem?|"
    rf"incomodem?){_ON}",
    rf"nao (?:lig(?:uem?|ues|a)|telefonem?|contatem?|contactem?)(?:{_HERE})? {_MORE}(?:{_HERE})?",
    r"nao (?:lig(?:uem?|ues)|telefonem?) (?:para|pra) (?:ca|mim|este numero|esse numero|minha "
    r"casa|a "
    rf"minha casa){END}",
    rf"nunca mais (?:me |nos )?{_CALL}\b",
    r"nao (?:me |nos )?(?:ligar|ligarem|telefonar|contatar|contatarem|incomodar|incomodarem) "
    r"mais\b",
    rf"nao {_WANT} (?:mais )?(?:nenhum )?contato (?:de|com) voces\b",
    r"nao (?:fi(?:que|quem)|continuem?) (?:me |nos )?(?:ligando|incomodando|perturbando|a ligar)",
    rf"(?:par(?:em?|a|ar)|deix(?:em?|a|ar)) de (?:me |nos )(?:ficar )?(?:{_TO_CALL}|ligando)",
    rf"(?:parem?|para|deixem) de {_TO_CALL}(?: me| nos|{_HERE}|{END}| por favor\b)",
    rf"nao {_WANT} (?:mais )?que (?:voces |voce |vces )?(?:me |nos )?(?:liguem?|contatem?|"
    r"contactem?|"
    rf"telefonem?|fiquem ligando){_ON}",
    rf"{_WANT} que (?:voces |voce )?(?:nao (?:me |nos )?liguem?|(?:parem?|deixem) de (?:me |nos )?"
    rf"{_TO_CALL}){_ON}",
    rf"nao {_WANT} (?:mais )?(?:receber )?(?:(?:mais|essas?|estas?|suas?|nenhumas?|nenhum tipo de) "
    r")+"
    rf"{_CALLS}\b",
    rf"nao {_WANT} (?:mais )?receber {_CALLS}\b",
    rf"nao {_WANT} mais {_CALLS}\b",
    rf"nao {_WANT} (?:mais )?ser (?:contatad|contactad|incomodad|perturbad|importunad)[oa]s?\b",
    rf"nao {_WANT} (?:mais )?(?:ouvir falar|saber) (?:mais )?de voces\b",
    rf"nao {_WANT} (?:mais )?estar n(?:a|o|essa|esta) (?:sua |vossa )?(?:\w+ )?{_LIST}\b",
    rf"(?:^|[.] |por favor |chega de |sem |e )(?:nao )?mais {_CALLS}(?:{END}| por favor\b)",
    rf"chega de {_CALLS}\b",
    rf"{_TAKE}(?: me| nos){_OF_LIST}",
    rf"(?:me|nos) {_TAKE}{_OF_LIST}",
    rf"{_TAKE} {_MY_NUMBER}(?:{_OF_LIST}|{END}| (?:por favor|dai)\b)",
    r"(?:coloquem?|ponham?|poe|inclua|incluam)(?: me| o meu numero| meu numero)? (?:me )?na "
    r"(?:sua |vossa )?lista (?:de (?:nao|bloq)|negra|do nao)",
    r"(?:estou|meu numero esta) (?:\w+ )?(?:na lista|no) (?:do )?nao (?:me )?perturbe\b",
    r"(?:me deix(?:em?|a)|deix(?:em?|a)(?: me| nos)) em paz\b",
    r"(?:revogo|retiro|retirar|revogar) (?:o )?(?:meu )?consentimento\b",
    r"nao (?:autorizo|autorizei|dei (?:autorizacao|permissao|consentimento) (?:para|a)) (?:mais )?"
    rf"(?:que )?(?:voces )?(?:me )?(?:essas |estas |suas )?(?:{_CALLS}|liga\w*|lig\w+|contat\w*|"
    r"contact\w*)",
    rf"(?:esquec(?:am?|e)|perc(?:am?|e)) (?:o )?meu numero{END}",
    r"(?:me descadastr(?:em?|a|ar)|descadastr(?:em?) me|quero (?:sair|ser removid[oa]|ser "
    r"retirad[oa])"
    r"(?: d[ae] (?:sua |vossa )?(?:lista|cadastro|base)))\b",
)

PORTUGUESE: Final = Table(
    _REQUESTS,
    unless_before=r"nao (?:vai|vao|quer|querem|consegue)|ele|ela|eles|elas|ninguem|(?:meu|minha|"
    r"meus|minhas|seu|sua) \w+|nao|nao me|"
    r"por ?que(?: voces?)?|quem|que (?:ele|ela|eles)|espero que|para que|nao (?:quero|disse) "
    r"que|o \w+|a \w+|clientes",
    unless_after=r"(?:(?:mais|de novo) )?(?:tarde|cedo|hoje|amanha|agora|antes|depois|ate|na "
    r"(?:segunda|terca|quarta|quinta|sexta|semana)|no (?:sabado|domingo|almoco|momento)|a noite|de "
    r"(?:manha|noite|madrugada)|durante|quando|enquanto|as \w+|essa semana|esta semana|tao)",
)
