"""What somebody wrote in a mail, without what they answered to: as the mail programs of our customers write it."""

import pytest

from portal.messages.quoting import text_of_html, without_history

QUOTED = "> Olá Maria, tudo bem?\n> Carla"


@pytest.mark.parametrize(
    ("program", "mail"),
    [
        ("Gmail", f"Yes!\n\nOn Mon, 22 Jun 2026 at 10:32, Carla via Onward <hello@onward.example> wrote:\n\n{QUOTED}"),
        ("Gmail, wrapped", f"Yes!\n\nOn Mon, Jun 22, 2026 at 10:32 AM Carla Souza via Onward <\nhello@onward.example> wrote:\n\n{QUOTED}"),
        ("Gmail in Portuguese", f"Yes!\n\nEm seg., 22 de jun. de 2026 às 10:32, Carla Souza via Onward <\nhello@onward.example> escreveu:\n\n{QUOTED}"),
        ("Apple Mail", f"Yes!\n\n> On 22 Jun 2026, at 10:32, Carla <hello@onward.example> wrote:\n> \n{QUOTED}"),
        ("Apple Mail in Portuguese", f"Yes!\n\nEm 22 de jun. de 2026, à(s) 10:32, Carla <hello@onward.example> escreveu:\n\n{QUOTED}"),
        ("Thunderbird in Portuguese", f"Yes!\n\nEm 22/06/2026 10:32, Carla Souza escreveu:\n{QUOTED}"),
        ("Outlook", "Yes!\n\nFrom: Carla <hello@onward.example>\nSent: Monday, June 22, 2026 10:32 AM\nTo: Maria\nSubject: Hello\n\nOlá Maria"),
        ("Outlook in Portuguese", "Yes!\n\nDe: Carla <hello@onward.example>\nEnviada em: segunda-feira, 22 de junho de 2026 10:32\nPara: Maria\nAssunto: Oi\n\nOlá"),
        ("Outlook.com", "Yes!\n________________________________\nDe: Carla <hello@onward.example>\nEnviado: segunda\nPara: Maria\nAssunto: Oi\n\nOlá"),
        ("older Outlook", "Yes!\n\n-----Mensagem original-----\nDe: Carla\n\nOlá"),
        ("Yahoo in Portuguese", f"Yes!\n\nCarla Souza <hello@onward.example> escreveu em seg., 22/06/2026:\n\n{QUOTED}"),
        ("a telephone", f"Yes!\n\nSent from my iPhone\n\nOn Jun 22, 2026, at 10:32, Carla <c@o.example> wrote:\n\n{QUOTED}"),
        ("a telephone in Portuguese", f"Yes!\n\nEnviado do meu iPhone\n\nEm 22 de jun. de 2026 Carla escreveu:\n\n{QUOTED}"),
        ("a signature", "Yes!\n\n-- \nMaria Lima\nPadaria do João"),
        ("beneath the quotation", f"Em 22/06/2026 10:32, Carla escreveu:\n{QUOTED}\n\nYes!\n\n-- \nMaria"),
        ("windows line ends", f"Yes!\r\n\r\nOn Mon, 22 Jun 2026, Carla wrote:\r\n{QUOTED}"),
    ],
)  # fmt: skip
def test_only_what_was_written_now_is_the_message(program: str, mail: str) -> None:
    assert without_history(mail) == ("Yes!", True), program


@pytest.mark.parametrize(
    "mail",
    [
        "Yes!",
        "On Monday I wrote: it does not work.\nStill true.",
        "From: the kitchen\nit looks fine.",
        "Answers:\n> Does it count?\nYes.\n> And the till?\nNo.",
        "A list:\n-- one\n-- two",
        "",
    ],
)
def test_what_only_looks_like_a_quotation_stays(mail: str) -> None:
    assert without_history(mail) == (mail, False)


def test_an_answer_point_by_point_keeps_the_points() -> None:
    mail = "See below.\n\nOn Mon, 22 Jun 2026, Carla wrote:\n> Does it count?\nYes.\n> And the till?\nNo."
    assert without_history(mail) == (mail, False)


def test_html_becomes_words_and_nothing_else() -> None:
    html = (
        "<head><title>x</title><style>p{}</style></head><p>Sim &amp; <b>j\u00e1</b></p><script>alert(1)</script>"
        '<ul><li>um<li>dois</ul><div class="gmail_quote"><div class="gmail_attr">Em 22/06/2026 Carla escreveu:<br></div>'
        "<blockquote>Ol\u00e1</blockquote></div>"
    )
    assert without_history(text_of_html(html)) == ("Sim & já\n\n- um\n- dois", True)


def test_html_of_outlook_ends_at_its_mark() -> None:
    html = '<div>Yes!</div><div id="divRplyFwdMsg"><b>From:</b> Carla</div><div>Old words</div>'
    assert without_history(text_of_html(html)) == ("Yes!", True)


def test_html_without_end_is_read_in_good_time() -> None:
    assert text_of_html("<div>" * 50_000 + "x").strip() == "x"
