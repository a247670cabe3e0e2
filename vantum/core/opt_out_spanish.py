"""Whether somebody says in Spanish that they do not want to be called any more.

Spain's and America's words, to `tú`, `usted` and `ustedes`. What is only not now ("no me llame
mañana") or is about others ("ya no me llaman") is let pass.
"""

from __future__ import annotations

from typing import Final

from vantum.core.opt_out_table import END, Table

_CALL: Final = (
    r"(?:llam(?:es?|en|eis|aran?|aras|asen?)|marqu(?:es?|en|eis)|contact(?:es?|en|eis)|"
    r"telefone(?:es?|en|eis)|"
    r"molest(?:es?|en|eis))"
)
_TO_CALL: Final = r"(?:llamar|marcar|contactar|telefonear|molestar|acosar|insistir)"
_CALLING: Final = r"(?:llamando|marcando|contactando|molestando|insistiendo)"
_HERE: Final = (
    r"(?: (?:aqui|aca|(?:a )?(?:este|mi|esta|nuestro) (?:numero|telefono|celular|movil|casa|"
    r"oficina)))"
)
_MORE: Final = r"(?:mas|nunca|nunca mas|jamas|otra vez|de nuevo|otra ves)"
#: What may follow "no me llame" with that meaning; else it is a name or a time.
_ON: Final = (
    rf"(?={_HERE}?(?:$| [.](?: |$)| (?:{_MORE}|por favor|porfavor|porfa|gracias|ya|entendido|vale|"
    r"ok|no|que|porque|quit\w+|borr\w+|elimin\w+|adios|aqui|aca|a (?:este|mi|esta|nuestro)|"
    r"senorita|"
    r"senor|para (?:vender|ofrecer)\w*|y (?:no|quit\w+|borr\w+|elimin\w+))(?: |$)))"
)
_LIST: Final = r"(?:listas?|bases?|sistemas?|registros?|agendas?|archivos?|directorio|contactos)"
_OF_LIST: Final = (
    r"(?: de(?:l)? (?:(?:su|sus|la|las|esta|esa|estas|esas|todas?|tu|tus|vuestra|vuestras) )*"
    rf"(?:\w+ )?{_LIST}\b)"
)
_TAKE: Final = (
    r"(?:quit(?:e|en|a|ar|es|ad|aran?)|borr(?:e|en|a|ar|es|ad|aran?)|elimin(?:e|en|a|ar|es|ad|"
    r"aran?)|saqu(?:e|en|es)|"
    r"saca|sacar|sacad|sacaran?|retir(?:e|en|a|ar|es)|remuev(?:a|an|e|as)|remover|suprim(?:a|an|e|"
    r"ir))"
)
_MY_NUMBER: Final = (
    r"(?:(?:mi|nuestro|este|el) (?:numero|telefono|nombre|contacto|celular|movil)"
    r"(?: de telefono)?|mis datos|nuestros datos)"
)
_WANT: Final = r"(?:quiero|quisiera|deseo|queremos|deseamos|me gustaria|prefiero|necesito)"

_REQUESTS: Final = (
    rf"no (?:me|nos) (?:vuelv(?:as?|an)|volvais|volvas) a {_TO_CALL}",
    rf"no (?:vuelv(?:as?|an)|volvais|volvas) a {_TO_CALL}(?:me|nos)?(?:{_HERE}|{END}| (?:nunca|mas|"
    r"por favor)\b)",
    rf"no (?:me|nos) {_CALL}{_ON}",
    rf"no {_CALL}(?: {_MORE}|{_HERE})",
    rf"no me habl(?:es?|en) {_MORE}",
    rf"no (?:volver a {_TO_CALL}(?:me|nos)?|{_TO_CALL}(?:me|nos) {_MORE})",
    r"si (?:me |nos )?(?:vuelv(?:en|es?)|sig(?:uen|ues?)) (?:a llamar|llamando)(?:me|nos)? (?:\w+ "
    r"){0,4}?"
    r"(?:denunci|demand|polici|abogad)\w*",
    r"(?:denunci|demand)\w*(?: \w+){0,2} si (?:me |nos )?(?:vuelv(?:en|es?)|sig(?:uen|ues?)) "
    r"(?:a llamar|llamando)",
    rf"nunca (?:mas )?(?:me|nos) (?:vuelv(?:as?|an) a {_TO_CALL}|{_CALL}{_ON})",
    rf"no (?:me |nos )?(?:sig(?:as?|an)|esten?|continuen?) {_CALLING}(?:me|nos)?",
    rf"(?:dej(?:en?|a|ad|es)|par(?:en?|a|ad)|ces(?:en?|ad)) de (?:estar(?:me|nos)? {_CALLING}|"
    rf"{_TO_CALL}(?:me|nos){_ON})",
    r"(?:deje|pare) de (?:molestar|insistir|acosar)\b",
    rf"(?:dejen|deja|dejad|paren) de {_TO_CALL}(?:{_HERE}|{END}| (?:ya|por favor)\b)",
    rf"(?:no|ya no) {_WANT} que (?:me|nos) (?:{_CALL}|(?:vuelv(?:as?|an)) a {_TO_CALL}|"
    rf"(?:sig(?:as?|an)|esten?) {_CALLING}){_ON}",
    rf"{_WANT} que (?:no (?:me|nos) {_CALL}|(?:dejen|paren) de {_TO_CALL}(?:me|nos)?){_ON}",
    rf"no {_WANT} (?:recibir )?(?:(?:mas|otras?|sus?|estas?|esas?|ningunas?|ningun tipo de) )+"
    r"(?:llamadas?)\b",
    rf"no {_WANT} recibir llamadas\b",
    rf"no {_WANT} (?:saber|oir) (?:nada )?(?:mas )?de (?:ustedes|usted|vosotros)\b",
    rf"no {_WANT} (?:estar|seguir|aparecer) en (?:su|esta|esa|ninguna) (?:\w+ )?{_LIST}\b",
    rf"(?:^|[.] |por favor |ya |y )no mas llamadas(?:{END}| (?:por favor|gracias)\b)",
    rf"basta (?:ya )?de (?:\w+ )?llamadas(?:{END}| por favor\b)",
    rf"{_TAKE}(?:me|nos|lo){_OF_LIST}",
    rf"(?:me|nos|lo) (?:\w+ )?{_TAKE}{_OF_LIST}",
    rf"{_TAKE} {_MY_NUMBER}(?:{_OF_LIST}|{END}| por favor\b)",
    rf"(?:den?|da|dar)(?:me|nos) de baja(?:{_OF_LIST}|{END}| (?:por favor|ya)\b)",
    r"(?:pong(?:a|an)|pon|apunt(?:e|en|a)|incluy(?:a|an)|agregu?(?:e|en)|anad(?:a|an)|met(?:a|an))"
    r"(?:me|nos)? (?:(?:mi|este) numero )?en (?:la|su|una) lista (?:de (?:no|exclu)|robinson|"
    r"negra)",
    r"(?:estoy|estamos|esta) (?:\w+ )?en la lista (?:robinson|de no llam|de exclusion)",
    r"dej(?:en?|a|ad)(?:me|nos) (?:ya )?en paz\b",
    r"(?:retiro|revoco|retirar|revocar) mi (?:consentimiento|autorizacion|permiso)\b",
    r"no (?:les? |te |os )?(?:doy|di|he dado|autorizo|autorice|tienen?|tienes) (?:mi |ningun |"
    r"ninguna )?(?:(?:consentimiento|permiso|autorizacion) )?(?:a |para )(?:que )?"
    r"(?:me |nos )?(?:llam|contact)\w*",
    rf"(?:olvid(?:e|en|a)|pierd(?:a|an|e)|tir(?:e|en)) (?:de )?mi numero{END}",
)

SPANISH: Final = Table(
    _REQUESTS,
    # A denial; what somebody asked somebody else, or is sorry for.
    unless_before=r"no|no (?:me|nos|lo|se)|espero que|no (?:quiero|pido|digo) que|para que|"
    r"(?:mi|su) \w+ (?:dice|pide) que|por que|no es que|clientes|nunca|ojala",
    unless_after=rf"(?:{_MORE} )?(?:hasta|antes|despues|manana|hoy|ahora|ahorita|esta (?:noche|"
    r"tarde|"
    r"semana)|por la|en la|los (?:lunes|martes|miercoles|jueves|viernes|sabados|domingos)|el "
    r"(?:lunes|martes|miercoles|jueves|viernes|sabado|domingo)|tan (?:tarde|temprano|pronto)|"
    r"durante|cuando|mientras|a las|mas tarde|tarde|temprano|en este momento|al mediodia|de noche)",
)
