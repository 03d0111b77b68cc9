"""What the demo's vendor wrote for its customers: a lesson with a picture, a video and a file, examples, news; and what some
people did with it. All invented, every address under `.example`."""

import io
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from PIL import Image, ImageDraw
from sqlalchemy import select
from sqlalchemy.orm import Session

from portal import media
from portal.accounts.models import Account, Contact
from portal.accounts.rules import Language
from portal.house import House
from portal.learning import actions, writing
from portal.learning.markdown import snippet
from portal.learning.rules import Audience, Draft, Kind, Reader, Text

EN, PT = Language.EN, Language.PT_BR


@dataclass(frozen=True)
class Drawn:
    """A picture or file that the demo brings along, as `portal.media` takes it."""

    name: str
    content: bytes


def write_lessons(db: Session, house: House, *, by: str, now: datetime) -> None:
    """Puts it all into the demo, as staff would, on the days when they did."""

    def kept(drawn: Drawn) -> media.Kept:
        harmless = media.read_file(drawn)
        return media.keep(db, house, harmless, reach=media.Reach.BY_ADDRESS, by=by, now=now - timedelta(days=40))

    shelf, poster = kept(Drawn("stock-shelf.png", _shelf())), kept(Drawn("counting.png", _poster()))
    sheet = kept(Drawn("count-sheet.csv", "\ufeffShelf,Item,Counted\nDry store,,\nCold store,,\nFreezer,,\n".encode()))
    for days_ago, draft in _drafts(shelf, poster, sheet, today=now.date()):
        at = now - timedelta(days=days_ago)
        writing.publish(db, writing.create(db, draft, by=by, now=at), by=by, now=at)
    unfinished = Draft(Kind.NEWS, "", 1, 1, Audience.EVERYONE, (), now.date() + timedelta(days=9), {EN: _COMING})
    writing.create(db, unfinished, by=by, now=now - timedelta(days=1))


def read_lessons(db: Session, *, visited: tuple[str, ...], now: datetime) -> None:
    """What the people of the accounts that visitors look at have read, and what one of them thought of it."""
    people = db.execute(
        select(Contact.id, Contact.account_id, Contact.language, Contact.is_primary, Account.external_id)
        .join(Account, Account.id == Contact.account_id)
        .where(Account.external_id.in_(visited))
        .order_by(Account.external_id, Contact.id)
    ).all()
    for contact_id, account_id, language, is_primary, _external in people:
        reader = Reader(contact_id, account_id, language, is_primary)
        slugs = (
            ("your-first-90-days", "the-first-conversation", "your-first-hour")
            if is_primary
            else ("your-first-90-days",)
        )
        for days, slug in enumerate(slugs):
            at = now - timedelta(days=6 - days)
            actions.begin(db, reader, slug=slug, now=at)
            actions.finish(db, reader, slug=slug, now=at + timedelta(minutes=5))
            helped = slug != "your-first-hour"
            actions.say_whether_it_helped(db, reader, slug=slug, helped=helped, now=at + timedelta(minutes=6))
            if not helped:
                words = _MISSING[Language(language)]
                actions.say_what_was_missing(db, reader, slug=slug, words=words, now=at + timedelta(minutes=7))
        actions.reach_part(db, reader, slug="count-your-stock-in-twenty-minutes", part=1, now=now - timedelta(days=2))


def rate_lessons(db: Session, *, visited: tuple[str, ...], now: datetime) -> None:
    """What other customers' main people thought of the lessons they finished."""
    people = db.execute(
        select(Contact.id, Contact.account_id, Contact.language)
        .join(Account, Account.id == Contact.account_id)
        .where(Account.external_id.not_in(visited), Contact.is_primary)
        .order_by(Account.id)
    ).all()
    for n, (contact_id, account_id, language) in enumerate(people):
        reader = Reader(contact_id, account_id, language, True)
        for days, slug in enumerate(_RATED[: n % 4]):
            at = now - timedelta(days=3 + n % 25 + days)
            actions.begin(db, reader, slug=slug, now=at)
            actions.finish(db, reader, slug=slug, now=at + timedelta(minutes=6))
            helped = (n + 3 * days) % 9 != 1
            actions.say_whether_it_helped(db, reader, slug=slug, helped=helped, now=at + timedelta(minutes=7))
            if not helped and n % 2:
                words = _MISSING_THERE[Language(language)]
                actions.say_what_was_missing(db, reader, slug=slug, words=words, now=at + timedelta(minutes=8))


_RATED = ("your-first-90-days", "count-your-stock-in-twenty-minutes", "your-first-hour")
_MISSING_THERE = {
    EN: "A picture of the screen would help. I didn’t find the button.",
    PT: "Uma imagem da tela ajudaria. Não achei o botão.",
}
_MISSING = {
    EN: "It shows how to add one item. We have four hundred: how do I bring them in at once?",
    PT: "Mostra como cadastrar um item. Temos quatrocentos: como trago todos de uma vez?",
}
_COMING = Text(
    "Delivery notes by photo",
    "Take a picture of a delivery note, and the items are booked in.",
    "Take a picture of the paper, check the lines, and press **Book in**. We’ll tell you here when it is there for everyone.\n",
)


def _drafts(shelf: media.Kept, poster: media.Kept, sheet: media.Kept, *, today: date) -> list[tuple[int, Draft]]:
    """Each with how many days ago it was published."""

    def line(one: media.Kept) -> str:
        return snippet(one.name, one.path, size=one.size, width=one.width, height=one.height)

    picture = line(shelf).partition("]")[2]
    poster_line, file_line = line(poster).partition("](")[2].rstrip(")"), line(sheet).partition("]")[2]
    counting = {
        EN: Text(
            "Count your stock in twenty minutes",
            "One round, two people, and numbers you can trust by the time the coffee is ready.",
            f"""Counting takes long when one person walks, writes and types. Split it, and it’s done before opening.

## Before you start

Clear the shelves that mix things. Print the sheet, or open **Stock → Count** on a phone.

![Three shelves with a label in front of each group of boxes]{picture}

- One person counts aloud, the other one types.
- Start at the door and go round one way only.
- Opened boxes count as halves.

[The count sheet]{file_line}

## See it done

:::video https://videos.larderly.example/count-in-twenty
title: A whole café counted in twenty minutes
length: 3:20
poster: {poster_line}

Hello, I’m Noor. We start at the door and go round one way only. I count aloud, Sam types. “Flour, eleven. Sugar, four and
a half.” At the freezer we stop the clock: nineteen minutes. Press **Finish**, and the differences stand in red.
:::

## When you are done

Press **Finish**. What differs from the books is listed; look at the three largest and leave the rest. Next Monday it will be fewer.
""",
        ),
        PT: Text(
            "Conte seu estoque em vinte minutos",
            "Uma volta, duas pessoas, e números confiáveis antes de o café ficar pronto.",
            f"""Contar demora quando a mesma pessoa anda, anota e digita. Dividam a tarefa e tudo acaba antes de abrir.

## Antes de começar

Arrume as prateleiras que misturam produtos. Imprima a planilha ou abra **Estoque → Contagem** no celular.

![Três prateleiras com uma etiqueta na frente de cada grupo de caixas]{picture}

- Uma pessoa conta em voz alta, a outra digita.
- Comecem pela porta e sigam num sentido só.
- Caixas abertas contam como metade.

[A planilha de contagem]{file_line}

## Veja como se faz

:::video https://videos.larderly.example/count-in-twenty
title: Um café inteiro contado em vinte minutos
length: 3:20
poster: {poster_line}

Olá, eu sou a Noor. Começamos pela porta e seguimos num sentido só. Eu conto em voz alta, o Sam digita. “Farinha, onze.
Açúcar, quatro e meio.” No freezer paramos o relógio: dezenove minutos. Aperte **Concluir** e as diferenças aparecem em vermelho.
:::

## Quando terminar

Aperte **Concluir**. O que difere dos registros aparece numa lista; olhe as três maiores e deixe o resto. Na próxima segunda serão menos.
""",
        ),
    }
    waste = {
        EN: Text(
            "Half the waste, eight weeks later",
            "A bakery with four ovens looked at one number every evening.",
            "They chose one number: loaves left at closing time. Whoever closed wrote it down, and the next day’s order "
            "followed it.\n\n## What they did\n\n1. Counted what was left, every evening for two weeks.\n2. Let the order list "
            "suggest the quantities, and took off one tray.\n3. Talked about it for five minutes on Mondays.\n\n## What you can "
            "take from it\n\nStart with one product. Two weeks of numbers are enough to see a pattern.\n",
            "Brightwater Bakery, four ovens, two shops",
            "Bread thrown away fell from 9% to 4% in eight weeks",
        ),
        PT: Text(
            "Metade do desperdício, oito semanas depois",
            "Uma padaria com quatro fornos olhou um número toda noite.",
            "Escolheram um número: os pães que sobravam ao fechar. Quem fechava anotava, e o pedido do dia seguinte acompanhava."
            "\n\n## O que fizeram\n\n1. Contaram as sobras toda noite durante duas semanas.\n2. Deixaram a lista de pedidos "
            "sugerir as quantidades e tiraram uma assadeira.\n3. Conversaram cinco minutos sobre isso às segundas.\n\n## O que "
            "serve para você\n\nComece com um produto. Duas semanas de números bastam para ver um padrão.\n",
            "Padaria Água Clara, quatro fornos, duas lojas",
            "O pão jogado fora caiu de 9% para 4% em oito semanas",
        ),
    }
    evenings = {
        EN: Text(
            "Evenings without the order book",
            "A café with one cook moved ordering from ten at night to three in the afternoon.",
            "Ordering at ten at night meant guessing. They moved it to three, when the lunch numbers are in.\n\n## What "
            "changed\n\nThe order list is open on the kitchen’s tablet from two o’clock. Whoever thinks of something adds it; "
            "at three it goes out.\n",
            "Linden Street Café, one cook, thirty seats",
            "Forty minutes a night back, and two forgotten orders a month became none",
        )
    }
    suggest = {
        EN: Text(
            "Order lists suggest quantities",
            "What you ordered on the last four same weekdays now stands beside each line.",
            "Open an order list, and beside each line you find a number in grey: what you needed on the last four same weekdays. "
            "Press it to take it over, or write your own.\n\nNothing is ordered by itself.\n",
        ),
        PT: Text(
            "As listas de pedidos sugerem quantidades",
            "O que você pediu nos últimos quatro dias iguais da semana aparece ao lado de cada linha.",
            "Abra uma lista de pedidos e, ao lado de cada linha, há um número em cinza: o que você precisou nos últimos quatro "
            "dias iguais da semana. Toque nele para usar, ou escreva o seu.\n\nNada é pedido sozinho.\n",
        ),
    }
    offline = {
        EN: Text(
            "Stock counts work in the cellar",
            "Counts are kept on the phone while there is no signal.",
            "No signal in the cold store? Go on counting: the phone keeps it and sends it when you are back upstairs.\n",
        ),
        PT: Text(
            "A contagem funciona até no porão",
            "Sem sinal, a contagem fica guardada no celular.",
            "Sem sinal na câmara fria? Continue contando: o celular guarda tudo e envia quando você voltar.\n",
        ),
    }
    sites = {
        EN: Text(
            "One report for all your sites",
            "Compare waste and orders between sites on one page.",
            "Under **Reports → Sites** all of them stand side by side, this week against the last four.\n",
        ),
        PT: Text(
            "Um relatório para todas as suas unidades",
            "Compare desperdício e pedidos entre as unidades em uma página.",
            "Em **Relatórios → Unidades** todas aparecem lado a lado, esta semana contra as quatro últimas.\n",
        ),
    }

    def news(days_ago: int, texts: dict[Language, Text], *plans: str) -> tuple[int, Draft]:
        on = today - timedelta(days=days_ago)
        return days_ago, Draft(Kind.NEWS, "", 1, 1, Audience.EVERYONE, plans, on, texts)

    return [
        (30, Draft(Kind.TUTORIAL, "deployment", 3, 4, Audience.EVERYONE, (), None, counting)),
        (28, Draft(Kind.EXAMPLE, "follow_up_30", 1, 3, Audience.EVERYONE, (), None, waste)),
        (26, Draft(Kind.EXAMPLE, "deployment", 2, 2, Audience.EVERYONE, (), None, evenings)),
        news(19, offline),
        news(5, suggest),
        news(3, sites, "Multi-site"),
    ]


# Drawings of our own, so that nothing has to be fetched


def _shelf() -> bytes:
    image, draw = _canvas("#f5f6f1")
    for row, colours in enumerate((("#0c5b4b", "#7fd4b8", "#0c5b4b"), ("#98460f", "#ffc647"), ("#245f9c", "#8fc0f0"))):
        top = 120 + row * 250
        draw.rectangle((120, top + 180, 1480, top + 200), fill="#838f87")
        for place, colour in enumerate(colours):
            for box in range(3):
                left = 160 + place * 440 + box * 120
                draw.rounded_rectangle((left, top + 70 - box % 2 * 40, left + 105, top + 178), 10, fill=colour)
            draw.rounded_rectangle(
                (160 + place * 440, top + 206, 400 + place * 440, top + 238), 6, fill="#ffffff", outline="#838f87"
            )
    return _png(image)


def _poster() -> bytes:
    image, draw = _canvas("#0d4a3e")
    draw.polygon([(0, 900), (0, 620), (520, 420), (1000, 560), (1600, 260), (1600, 900)], fill="#1d6657")
    draw.line([(120, 720), (520, 520), (980, 640), (1430, 400)], fill="#f2f8f3", width=12, joint="curve")
    draw.ellipse((1380, 350, 1480, 450), fill="#ffc647")
    draw.rounded_rectangle((560, 180, 860, 330), 24, fill="#f2f8f3")
    for dot in range(3):
        draw.ellipse((630 + dot * 60, 240, 660 + dot * 60, 270), fill="#0d4a3e")
    return _png(image)


def _canvas(colour: str) -> tuple[Image.Image, ImageDraw.ImageDraw]:
    image = Image.new("RGB", (1600, 900), colour)
    return image, ImageDraw.Draw(image)


def _png(image: Image.Image) -> bytes:
    made = io.BytesIO()
    image.save(made, "PNG")
    return made.getvalue()
