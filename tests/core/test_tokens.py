"""Estimates of tokens against what o200k_base counts."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vantum.core.tokens import estimate_tokens

#: Text and its tokens in o200k_base; `tests/providers/test_counting.py` counts them again.
COUNTED = (
    (
        "Hi, this is Alex from Vantum, did I catch you at a bad moment? That "
        "makes sense, a new tool is one more thing to learn. What would it have "
        "to save you to be worth it? We currently use spreadsheets, about four "
        "hundred customers, and it takes two people most of Monday. I'd rather "
        "you sent me something by email.",
        73,
    ),
    (
        "Guten Tag, hier ist Alex von Vantum, störe ich Sie gerade? Das verstehe "
        "ich gut, ein neues Werkzeug muss man erst einmal lernen. Was müsste es "
        "Ihnen ersparen, damit es sich lohnt? Wir benutzen Tabellen für etwa "
        "vierhundert Kunden, das dauert zu zweit fast den ganzen Montag. Die "
        "Geschäftsführung entscheidet über Anschaffungen.",
        73,
    ),
    (
        "Bonjour, c'est Alex de Vantum, je ne vous dérange pas ? Je comprends, un "
        "nouvel outil, c'est encore une chose à apprendre. Que devrait-il vous "
        "faire gagner pour en valoir la peine ? Nous utilisons des tableurs pour "
        "environ quatre cents clients, et cela prend presque tout le lundi à deux "
        "personnes.",
        68,
    ),
    (
        "Buenos días, soy Alex de Vantum, ¿le llamo en mal momento? Lo entiendo, "
        "una herramienta nueva es una cosa más que aprender. ¿Qué tendría que "
        "ahorrarle para que valiera la pena? Usamos hojas de cálculo para unos "
        "cuatrocientos clientes y dos personas tardan casi todo el lunes.",
        66,
    ),
    (
        "Dzień dobry, tu Alex z Vantum, czy nie przeszkadzam? Rozumiem, nowe "
        "narzędzie to kolejna rzecz do nauczenia się. Co musiałoby panu "
        "zaoszczędzić, żeby było warto? Używamy arkuszy kalkulacyjnych dla około "
        "czterystu klientów i zajmuje to dwóm osobom prawie cały poniedziałek.",
        86,
    ),
    (
        "Hyvää päivää, täällä Alex Vantumilta, soitanko huonoon aikaan? Ymmärrän "
        "hyvin, uusi työkalu on taas yksi opeteltava asia. Mitä sen pitäisi "
        "säästää, jotta se olisi sen arvoista? Käytämme taulukoita noin "
        "neljällesadalle asiakkaalle.",
        72,
    ),
    (
        "İyi günler, ben Vantum'dan Alex, müsait misiniz? Anlıyorum, yeni bir "
        "araç öğrenilecek bir şey daha demek. Buna değmesi için size ne "
        "kazandırması gerekir? Yaklaşık dört yüz müşteri için tablolar "
        "kullanıyoruz ve iki kişinin pazartesi gününün çoğunu alıyor.",
        69,
    ),
    (
        "Добрый день, это Алекс из Вантума, вам удобно сейчас говорить? Понимаю, "
        "новый инструмент нужно ещё освоить. Что он должен сэкономить, чтобы это "
        "того стоило? Мы ведём таблицы примерно на четыреста клиентов, и двое "
        "сотрудников тратят на это почти весь понедельник.",
        68,
    ),
    (
        "Καλημέρα, είμαι ο Άλεξ από τη Vantum, σας ενοχλώ; Καταλαβαίνω, ένα νέο "
        "εργαλείο είναι κάτι ακόμη που πρέπει να μάθει κανείς. Τι θα έπρεπε να "
        "σας εξοικονομεί για να αξίζει;",
        65,
    ),
    (
        "שלום, מדבר אלכס מוואנטום, תפסתי אותך ברגע לא טוב? אני מבין, כלי חדש הוא "
        "עוד משהו שצריך ללמוד. מה הוא צריך לחסוך לך כדי שזה יהיה שווה?",
        46,
    ),
    (
        "مرحبا، معك أليكس من فانتوم، هل الوقت مناسب للحديث؟ أفهم ذلك، أداة جديدة "
        "تعني شيئا آخر يجب تعلمه. ماذا يجب أن توفر لك حتى تستحق العناء؟ نستخدم "
        "جداول لحوالي أربعمائة عميل.",
        58,
    ),
    (
        "नमस्ते, मैं वैंटम से एलेक्स बोल रहा हूँ, क्या मैंने आपको गलत समय पर फोन "
        "किया? मैं समझता हूँ, एक नया उपकरण सीखने के लिए एक और चीज़ है। इसे सार्थक "
        "बनाने के लिए आपका क्या बचाना होगा?",
        58,
    ),
    (
        "สวัสดีครับ ผมอเล็กซ์จากแวนทัม โทรมารบกวนหรือเปล่าครับ เข้าใจครับ "
        "เครื่องมือใหม่ก็เป็นอีกอย่างที่ต้องเรียนรู้ "
        "มันต้องช่วยประหยัดอะไรให้คุณถึงจะคุ้มค่า",
        59,
    ),
    (
        "您好，我是Vantum的Alex，现在方便说话吗？我理解，新工具又是一样要学的东西。它要为您节省什么才值得呢？我们用表格管理大约四百个客户，两个人几"
        "乎要花整个星期一。",
        58,
    ),
    (
        "こんにちは、ヴァンタムのアレックスです。今お時間よろしいでしょうか。新しい道具は覚えることがまた一つ増えますよね。どのくらい節約できれば価値があると"
        "お考えですか。約四百社のお客様を表計算で管理しています。",
        72,
    ),
    (
        "안녕하세요, 밴텀의 알렉스입니다. 지금 통화 괜찮으세요? 이해합니다, "
        "새 도구는 배워야 할 것이 하나 더 늘어나는 것이지요. "
        "무엇을 절약해 드려야 가치가 있을까요? 저희는 약 사백 명의 고객을 표로 관리합니다.",
        71,
    ),
    (
        "My number is 415-555-0132, order 20481516, on 2026-11-21 at 14:30, that "
        "is $1,299.99 or 12.5% off; call extension 7 or +49 30 901820.",
        60,
    ),
    (
        '{"name": "book_meeting", "date": "2026-11-24T10:00:00+01:00", "email": '
        '"ann@example.com", "attendees": ["ann", "bob"], "ok": true}',
        52,
    ),
    (
        "Great 😀👍🏽 see you 🎉🎉 tomorrow 👩\u200d💻!",
        18,
    ),
)


@pytest.mark.parametrize(("text", "tokens"), COUNTED, ids=[text[:12] for text, _ in COUNTED])
def test_an_estimate_is_near(text: str, tokens: int) -> None:
    assert 0.9 * tokens <= estimate_tokens(text) <= 1.25 * tokens


def test_no_text_takes_no_tokens() -> None:
    assert estimate_tokens("") == 0
    assert estimate_tokens("a") == 1


@settings(max_examples=100)
@given(st.text(max_size=60), st.text(max_size=60))
def test_more_text_takes_more_tokens(one: str, other: str) -> None:
    both = estimate_tokens(one + other)
    assert max(estimate_tokens(one), estimate_tokens(other)) <= both
    assert both <= estimate_tokens(one) + estimate_tokens(other)
    assert both <= 2 * len(one + other)
