"""Who lives in the demo: the vendor's people and its customers, all invented, every address under `.example`."""

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from portal.accounts.rules import Language, Role

VENDOR = "Larderly"


@dataclass(frozen=True)
class Colleague:
    """Somebody who works at the vendor."""

    name: str
    email: str
    role: Role
    language: Language
    timezone: str
    phone: str


STAFF = (
    Colleague(
        "Carla Nogueira",
        "carla@larderly.example",
        Role.CONSULTANT,
        Language.PT_BR,
        "America/Sao_Paulo",
        "+5511955550142",
    ),
    Colleague("Noor Haddad", "noor@larderly.example", Role.CONSULTANT, Language.EN, "Europe/London", "+441174960142"),
    Colleague(
        "Bea Lopes", "bea@larderly.example", Role.CONSULTANT, Language.PT_BR, "America/Sao_Paulo", "+5521955550187"
    ),
    Colleague("Tom Ashworth", "tom@larderly.example", Role.CONSULTANT, Language.EN, "Europe/London", "+442079460163"),
    Colleague("Rui Tavares", "rui@larderly.example", Role.MANAGER, Language.EN, "Europe/London", "+442079460171"),
    Colleague("Ana Prado", "ana@larderly.example", Role.ADMINISTRATOR, Language.EN, "Europe/London", "+442079460189"),
    Colleague(
        "Heloísa Amaral",
        "heloisa@larderly.example",
        Role.MANAGER,
        Language.PT_BR,
        "America/Sao_Paulo",
        "+5511955550171",
    ),
    Colleague(
        "Davi Moreira",
        "davi@larderly.example",
        Role.ADMINISTRATOR,
        Language.PT_BR,
        "America/Sao_Paulo",
        "+5511955550189",
    ),
)


class Temper(StrEnum):
    """How a customer takes to it: what they answer, and whether they answer at all."""

    DELIGHTED = "delighted"
    CONTENT = "content"
    NEUTRAL = "neutral"
    UNHAPPY = "unhappy"
    """Unhappy on day 30, content once it was put right."""
    HELP = "help"
    """Content, but asks for help on day 60."""
    SILENT = "silent"
    """Never answers a survey; talks when called."""
    SLOW = "slow"
    """Doesn't sign in; the consultant has to call."""
    LEAVING = "leaving"
    """Unhappy, and lost in the end."""
    FORGOTTEN = "forgotten"
    """Nobody looked at the contract yet: what a stuck card looks like."""


@dataclass(frozen=True)
class Customer:
    """A customer company with its people, when it was sold (days ago) and how it takes to it."""

    company: str
    people: tuple[str, ...]
    language: Language
    timezone: str
    plan: str
    mrr: Decimal
    currency: str
    sold_days_ago: int
    temper: Temper


TITLES: dict[Language, tuple[str, ...]] = {
    Language.EN: ("Owner", "Head baker", "Shop floor"),
    Language.PT_BR: ("Proprietária", "Chefe de produção", "Atendimento"),
}
"""What the people of a visited company do there, in their order."""
INVITED: dict[Language, str] = {Language.EN: "Ottilie Marsh", Language.PT_BR: "Lívia Campos"}
"""Whom they invited and who hasn't come yet."""

_PLANS = {"Starter": 99, "Team": 249, "Multi-site": 640}
_EN = (
    ("Moss & Rye Bakery", ("Imogen Bales", "Callum Frith", "Wren Halloran")),
    ("Dockside Roasters", ("Priya Raman",)),
    ("The Copper Ladle", ("Hannah Whitcombe",)),
    ("Fernhill Dairy", ("Owen Pritchard", "Megan Rees")),
    ("Quayside Fish House", ("Dermot Kavanagh",)),
    ("Saltmarsh Kitchen", ("Alice Thorne",)),
    ("Juniper & Finch", ("Laurence Okafor", "Beth Amos")),
    ("Harrow Street Deli", ("Samira Aziz",)),
    ("Tidewater Catering", ("George Lamb",)),
    ("Little Orchard Preserves", ("Nell Hathaway",)),
    ("Northgate Canteens", ("Victor Osei", "Paula Strand")),
    ("Bramble Lane Café", ("Rosa Lindley",)),
    ("Stonemill Pizza", ("Enzo Barretta",)),
    ("Highfield School Meals", ("Christine Mabey",)),
    ("Amber & Oat", ("Yasmin Cole",)),
    ("The Pickled Walnut", ("Freddie Marsh",)),
    ("Larkspur Hotels", ("Eleanor Voss", "Ian Tully")),
    ("Cedar Grove Farm Shop", ("Molly Hargreaves",)),
    ("Redbrick Brewing", ("Aaron Pike",)),
    ("Sunny Side Diners", ("Tasha Boyd",)),
    ("Old Customs House", ("Peter Nance",)),
    ("Wren & Daughters", ("Judith Wren",)),
    ("Kingfisher Kitchens", ("Dev Malhotra",)),
    ("Market Cross Butchers", ("Graham Toft",)),
    ("Blue Door Bistro", ("Amelie Rourke",)),
    ("Hearth & Hollow", ("Simon Achebe",)),
    ("Pantry on the Park", ("Lydia Moran",)),
    ("Fieldfare Foods", ("Bruno Keane",)),
    ("Maple Row Bakehouse", ("Zoe Pemberton",)),
    ("Seven Dials Sushi", ("Kenji Arai",)),
)
_PT = (
    ("Padaria Flor de Trigo", ("Mariana Queiroz", "João Brandão", "Tainá Moura")),
    ("Empório Serra Azul", ("Luciana Prates",)),
    ("Cantina do Nonno", ("Giovana Bertolini",)),
    ("Café Alvorada", ("Rafael Moutinho",)),
    ("Restaurante Maré Alta", ("Patrícia Salgado", "Diego Farias")),
    ("Sorveteria Pinguim", ("Aline Peixoto",)),
    ("Churrascaria Boi na Brasa", ("Marcos Vidal",)),
    ("Mercado São Bento", ("Helena Carvalhal",)),
    ("Doceria Tia Zulmira", ("Zulmira Arantes",)),
    ("Pizzaria Forno Velho", ("Fábio Garcez",)),
    ("Hortifruti Verde Vivo", ("Camila Tourinho", "Pedro Lins")),
    ("Bistrô da Vila", ("Renata Sampaio",)),
    ("Confeitaria Lua Nova", ("Débora Pinheiro",)),
    ("Lanchonete Ponto Certo", ("Wagner Teles",)),
    ("Rede Sabor & Cia", ("Cristiane Vasques", "André Mello")),
    ("Quitanda da Praça", ("Sônia Aguiar",)),
    ("Casa do Pão de Queijo Mineiro", ("Otávio Drummond",)),
    ("Peixaria Mar Aberto", ("Júlio Nascente",)),
    ("Cozinha Industrial Girassol", ("Teresa Monteclaro",)),
    ("Adega Santa Clara", ("Bernardo Figueira",)),
    ("Açaí do Norte", ("Tainá Moura",)),
    ("Rotisserie Dona Lúcia", ("Lúcia Ferraz",)),
    ("Buffet Jardim de Inverno", ("Marcela Duprat",)),
    ("Burger da Esquina", ("Igor Salomão",)),
    ("Tapiocaria Sertão", ("Edna Cordeiro",)),
    ("Frutaria Bela Vista", ("Nilton Prado",)),
    ("Hamburgueria Brasa 22", ("Caio Bastos",)),
    ("Pousada Águas Claras", ("Vera Lúcia Menezes",)),
    ("Laticínios Boa Vista", ("Augusto Rangel",)),
    ("Bar do Porto", ("Leandro Couto",)),
)
_AGES = (
    0,
    1,
    2,
    3,
    5,
    7,
    9,
    12,
    15,
    18,
    20,
    22,
    25,
    28,
    30,
    33,
    36,
    38,
    40,
    42,
    45,
    48,
    52,
    56,
    60,
    64,
    68,
    70,
    72,
    75,
)
_OLDER = (
    78,
    81,
    84,
    88,
    92,
    95,
    98,
    100,
    102,
    105,
    108,
    110,
    113,
    116,
    119,
    122,
    125,
    128,
    130,
    132,
    134,
    136,
    138,
    140,
    142,
    143,
    144,
    145,
    147,
    150,
)
_TEMPERS = (
    Temper.DELIGHTED,
    Temper.CONTENT,
    Temper.UNHAPPY,
    Temper.CONTENT,
    Temper.DELIGHTED,
    Temper.SILENT,
    Temper.NEUTRAL,
    Temper.CONTENT,
    Temper.HELP,
    Temper.DELIGHTED,
    Temper.SLOW,
    Temper.CONTENT,
    Temper.LEAVING,
)


_PLACED = {
    # The two whom visitors sign in as, one a language: about to be asked on day 30, with the ninety days ahead of them.
    0: (27, Temper.DELIGHTED),
    1: (27, Temper.CONTENT),
    # Whatever the day of the week, somebody is unhappy just now, somebody was sold to today, and somebody was forgotten.
    2: (32, Temper.UNHAPPY),
    3: (33, Temper.UNHAPPY),
    4: (34, Temper.UNHAPPY),
    5: (35, Temper.UNHAPPY),
    6: (36, Temper.UNHAPPY),
    7: (63, Temper.HELP),
    8: (64, Temper.HELP),
    9: (34, Temper.LEAVING),
    10: (0, Temper.CONTENT),
    11: (0, Temper.DELIGHTED),
    12: (1, Temper.CONTENT),
    13: (5, Temper.FORGOTTEN),
    14: (2, Temper.SLOW),
    15: (4, Temper.SLOW),
    16: (5, Temper.SLOW),
    17: (3, Temper.SLOW),
    18: (10, Temper.FORGOTTEN),
}


def customers() -> list[Customer]:
    """Sixty customers, half of each language, at every age from today's sale to five months."""
    made = []
    plans = list(_PLANS.items())
    for n, (language, (company, people)) in enumerate(
        pair
        for both in zip([(Language.EN, c) for c in _EN], [(Language.PT_BR, c) for c in _PT], strict=True)
        for pair in both
    ):
        plan, price = plans[(n * 7 + n // 5) % 3]
        ages = _AGES if n % 4 < 2 else _OLDER
        age = ages[(n * 11 + n // 2) % len(ages)]
        temper = _TEMPERS[(n * 5 + n // 13) % len(_TEMPERS)]
        age, temper = _PLACED.get(n, (age, temper))
        made.append(
            Customer(
                company=company,
                people=people,
                language=language,
                timezone="Europe/London" if language is Language.EN else "America/Sao_Paulo",
                plan=plan,
                mrr=Decimal(price + (n * 13) % 60),
                currency="GBP" if language is Language.EN else "BRL",
                sold_days_ago=age,
                temper=temper,
            )
        )
    return made


WORDS: dict[Language, dict[str, tuple[str, ...]]] = {
    Language.EN: {
        "delighted": (
            "Stock counts went from a morning to half an hour. The team actually likes it.",
            "Noticed the waste going down in the second week. Lovely people to deal with.",
            "It just works, and when it didn’t, somebody called within the hour.",
        ),
        "content": ("Does what we were promised.", "Good so far. The reports took a bit of getting used to.", ""),
        "neutral": ("It’s fine. I expected the ordering part to save more time.", "Okay, but only two of us use it."),
        "unhappy": (
            "The supplier price file imports with the wrong units. We ordered ten times the flour we needed.",
            "Two of our tills still don’t sync and nobody told us when that will be fixed.",
            "I’ve explained our menu three times to three people. Pretty tired of it.",
        ),
        "help": ("Could somebody walk us through the allergen sheets? We have an inspection coming.",),
        "leaving": ("We can’t get the old data in. Honestly, we’re back on spreadsheets.",),
        "fixed": (
            "Corrected the unit mapping, re-imported the file together and checked the last five orders.",
            "Replaced the till connector; watched a full day of sales come in with them.",
            "One named person for the menu from now on, and the allergen set-up was done together on a call.",
        ),
        "called": (
            "Called. All well, no time for surveys. Wants to add a second site in spring.",
            "Good talk: uses it daily, would like a shorter monthly report.",
        ),
        "met": ("Short and to the point. The allergen sheets make sense now.", "Good call, thanks."),
        "hello": ("Introduced myself, went through the plan, agreed to talk by phone on Tuesdays.",),
        "demand": (
            "Three sites, one central kitchen. Goal: waste under four per cent.",
            "Starter plan, owner runs it alone. Needs a quick win on ordering.",
        ),
        "lost": ("Gone back to their old system; not enough time to switch over in high season.",),
        "goal": ("Waste under 4%", "Count every site in under an hour", "Order from the phone by day 90"),
        "issue": ("Price file of one supplier has mixed units", "Second till doesn’t sync"),
        "solution": (
            "We convert the units on import and check the first two orders",
            "We send a new connector and set it up together",
        ),
    },
    Language.PT_BR: {
        "delighted": (
            "O inventário que levava a manhã inteira agora sai em meia hora. A equipe adorou.",
            "Em duas semanas já jogamos menos comida fora. Atendimento nota dez.",
            "Funciona de verdade, e quando precisei, me ligaram na hora.",
        ),
        "content": ("Faz o que prometeram.", "Está bom até aqui. Os relatórios pedem um pouco de prática.", ""),
        "neutral": ("Está ok. Esperava ganhar mais tempo nos pedidos.", "Normal, mas só duas pessoas usam."),
        "unhappy": (
            "A tabela de preços do fornecedor entra com a unidade errada. Pedimos dez vezes mais farinha.",
            "Dois caixas ainda não sincronizam e ninguém me disse quando isso vai ser resolvido.",
            "Já expliquei nosso cardápio três vezes para três pessoas. Cansei um pouco.",
        ),
        "help": ("Alguém pode nos ajudar com as fichas de alergênicos? Vem fiscalização aí.",),
        "leaving": ("Não conseguimos trazer os dados antigos. Na prática, voltamos para a planilha.",),
        "fixed": (
            "Corrigimos a unidade, importamos de novo juntos e conferimos os últimos cinco pedidos.",
            "Trocamos o conector do caixa e acompanhamos um dia inteiro de vendas com eles.",
            "Uma pessoa só cuida do cardápio a partir de agora; fizemos os alergênicos juntos em uma chamada.",
        ),
        "called": (
            "Liguei. Tudo bem, só não tem tempo para pesquisas. Quer abrir a segunda loja.",
            "Boa conversa: usa todo dia, gostaria de um relatório mensal mais curto.",
        ),
        "met": ("Curta e direta. Agora as fichas de alérgenos fazem sentido.", "Boa conversa, obrigado."),
        "hello": ("Me apresentei, passamos pelo plano e combinamos falar por telefone às terças.",),
        "demand": (
            "Três lojas e uma cozinha central. Meta: desperdício abaixo de quatro por cento.",
            "Plano inicial, a dona toca sozinha. Precisa de um ganho rápido nos pedidos.",
        ),
        "lost": ("Voltaram para o sistema antigo; não deu tempo de mudar na alta temporada.",),
        "goal": (
            "Desperdício abaixo de 4%",
            "Inventário de cada loja em menos de uma hora",
            "Pedir pelo celular até o dia 90",
        ),
        "issue": ("A tabela de um fornecedor tem unidades misturadas", "O segundo caixa não sincroniza"),
        "solution": (
            "Convertemos as unidades na importação e conferimos os dois primeiros pedidos",
            "Enviamos um novo conector e instalamos juntos",
        ),
    },
}


@dataclass(frozen=True)
class Said:
    """A message of a thread: how many hours before today, by whom, by mail or not."""

    hours_ago: int
    by: str
    """`us`, or the customer's people: `first`, `second`."""
    text: str
    by_mail: bool = False


THREADS: dict[str, tuple[Said, ...]] = {
    "Moss & Rye Bakery": (
        Said(
            150,
            "us",
            "Morning! The price file from the mill is fixed.\nCould you check one order when you have a minute?",
        ),
        Said(147, "first", "Looks right now, thank you. The flour is still listed twice, though."),
        Said(
            146, "us", "Well spotted. I took the double out: https://help.larderly.example/doubles says how to see it."
        ),
        Said(50, "second", "Hi, Callum here. Can I add our Saturday helper myself, or do you do that?", by_mail=True),
        Said(3, "us", "Hi Callum, you can: Team, then Add. Call me if it asks for a code, I’m here until five."),
    ),
    "Padaria Flor de Trigo": (
        Said(170, "us", "Bom dia, Mariana! O arquivo de preços do moinho foi corrigido.\nConsegue conferir um pedido?"),
        Said(168, "first", "Agora bateu certinho, obrigada! Só a farinha ainda aparece duas vezes."),
        Said(167, "us", "Bem visto. Tirei a repetida: https://ajuda.larderly.example/repetidos mostra como conferir."),
        Said(52, "second", "Oi, aqui é o João. Eu mesmo posso incluir a ajudante de sábado?", by_mail=True),
        Said(2, "us", "Oi, João! Pode sim: Equipe, depois Incluir. Se pedir um código, me ligue, fico até as cinco."),
    ),
}
"""What the visited customers and their consultant wrote each other; by company."""

UNREAD: dict[Language, dict[Temper, tuple[Said, ...]]] = {
    Language.EN: {
        Temper.UNHAPPY: (
            Said(30, "us", "I’m with the engineers on the tablet. I’ll write as soon as I know more."),
            Said(1, "first", "It lost the count again this morning. Is there any news?", by_mail=True),
        ),
        Temper.HELP: (Said(2, "first", "Could we move Thursday’s call to the afternoon? The delivery comes at ten."),),
    },
    Language.PT_BR: {
        Temper.UNHAPPY: (
            Said(31, "us", "Estou com a engenharia por causa do tablet. Escrevo assim que souber mais."),
            Said(1, "first", "Hoje cedo perdeu a contagem de novo. Alguma novidade?", by_mail=True),
        ),
        Temper.HELP: (Said(3, "first", "Dá para passar a conversa de quinta para a tarde? A entrega chega às dez."),),
    },
}
"""What waits for the consultants: with one customer of each of these tempers, in their language."""
