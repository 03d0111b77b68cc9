"""Which column of a won-deal file means what: by its name in English or Portuguese, else by what stands in it.

A guess only: the person sees it with its confidence and can correct every column."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from portal.accounts.rules import Language, folded


class Field(StrEnum):
    """What a column can mean."""

    DEAL_ID = "deal_id"
    TITLE = "title"
    COMPANY = "company"
    TAX_ID = "tax_id"
    NAME = "name"
    FIRST_NAME = "first_name"
    LAST_NAME = "last_name"
    ROLE = "role"
    EMAIL = "email"
    PHONE = "phone"
    LANGUAGE = "language"
    TIME_ZONE = "time_zone"
    PLAN = "plan"
    PRICE = "price"
    CURRENCY = "currency"
    SOLD_ON = "sold_on"
    RENEWS_ON = "renews_on"
    INTERESTS = "interests"
    CONSULTANT = "consultant"
    SOURCE = "source"
    OBSERVATION = "observation"
    PUBLIC_PLAN = "public_plan"


class Confidence(StrEnum):
    NAMED = "named"
    """The header is one of the field's names."""
    LIKELY = "likely"
    """The header contains one of them."""
    GUESSED = "guessed"
    """Only the values speak for it."""
    NONE = "none"


@dataclass(frozen=True)
class Column:
    """One column of the file and what we take it for. `index` counts from 0; `examples` are up to three values."""

    index: int
    header: str
    field: Field | None
    confidence: Confidence
    examples: tuple[str, ...] = ()


# Names as `normalised` leaves them. In a longer header ("primary e-mail of contact") the first field of this table
# whose words are all there wins, so the narrow meanings come first: "e-mail do responsável" is the consultant's.
_NAMES: dict[Field, tuple[tuple[str, ...], tuple[str, ...]]] = {
    Field.CONSULTANT: (
        ("deal owner", "owner", "owner email", "owner name", "account owner", "consultant", "account manager", "sales rep",
         "salesperson", "assigned to", "customer success manager", "csm", "opportunity owner", "seller"),
        ("responsavel", "proprietario", "vendedor", "consultor", "consultora", "dono", "gerente de contas", "atendente",
         "dono do negocio", "responsavel pelo negocio"),
    ),
    Field.PUBLIC_PLAN: (
        ("public plan", "public plan link", "plan link", "link to the plan", "shared plan"),
        ("plano publico", "link do plano", "link do plano publico", "plano mostrado", "plano compartilhado"),
    ),
    Field.CURRENCY: (("currency", "deal currency", "currency code", "amount currency"), ("moeda",)),
    Field.RENEWS_ON: (
        ("renewal date", "renewal", "renews on", "contract end", "contract end date", "end date", "expiry date"),
        ("data de renovacao", "renovacao", "vencimento", "fim do contrato", "termino do contrato", "renova em"),
    ),
    Field.SOLD_ON: (
        ("close date", "closed date", "closed on", "sold on", "sale date", "won date", "won time", "deal closed",
         "date won", "signed on", "signature date", "contract start", "contract date", "start date", "date"),
        ("data de fechamento", "fechamento", "data da venda", "data venda", "fechado em", "ganho em", "data do ganho",
         "data de ganho", "vendido em", "data da assinatura", "data do contrato", "inicio do contrato", "data"),
    ),
    Field.TAX_ID: (
        ("tax id", "vat", "vat id", "vat number", "company number", "registration number", "ein"),
        ("cnpj", "cpf cnpj", "cnpj cpf", "nif", "inscricao"),
    ),
    Field.DEAL_ID: (
        ("deal id", "id", "record id", "opportunity id", "deal number", "number", "external id", "contract number", "key"),
        ("id do negocio", "codigo", "numero do negocio", "id da oportunidade", "numero do contrato", "numero", "identificador"),
    ),
    Field.TITLE: (
        ("deal name", "deal", "title", "opportunity", "opportunity name", "deal title"),
        ("titulo da oportunidade", "titulo", "oportunidade", "negocio", "nome do negocio", "titulo do negocio",
         "nome da oportunidade"),
    ),
    Field.PRICE: (
        ("mrr", "amount", "monthly amount", "price", "monthly price", "value", "deal value", "monthly recurring revenue",
         "monthly fee", "deal amount"),
        ("valor mensal mrr", "valor mensal", "valor", "mensalidade", "preco", "valor do negocio", "receita mensal",
         "receita recorrente mensal"),
    ),
    Field.EMAIL: (
        ("email", "e mail", "mail", "email address", "e mail address", "contact email", "person email"),
        ("correio eletronico", "e mail do contato", "email do contato", "endereco de e mail"),
    ),
    Field.PHONE: (
        ("phone", "phone number", "mobile", "mobile phone", "cell", "cell phone", "telephone", "contact phone", "whatsapp"),
        ("telefone", "celular", "fone", "telefone celular", "telefone do contato", "tel"),
    ),
    Field.LANGUAGE: (("language", "preferred language", "locale"), ("idioma", "lingua", "idioma preferido")),
    Field.TIME_ZONE: (("time zone", "timezone", "tz"), ("fuso horario", "fuso")),
    Field.INTERESTS: (
        ("interests", "interest", "interested in", "products of interest", "tags"),
        ("interesses", "interesse", "produtos de interesse", "etiquetas"),
    ),
    Field.SOURCE: (
        ("source", "lead source", "origin", "channel", "original source"),
        ("origem", "fonte", "canal", "origem do lead", "canal de origem"),
    ),
    Field.PLAN: (
        ("plan", "product", "package", "subscription", "edition", "tier", "plan name"),
        ("plano", "produto", "pacote", "assinatura", "nome do plano"),
    ),
    Field.ROLE: (("role", "job title", "position", "job"), ("cargo", "funcao")),
    Field.OBSERVATION: (
        ("notes", "note", "comments", "comment", "description", "remarks", "observations"),
        ("observacao", "observacoes", "obs", "anotacoes", "comentarios", "comentario", "descricao", "notas"),
    ),
    Field.FIRST_NAME: (("first name", "given name", "forename"), ("primeiro nome", "prenome")),
    Field.LAST_NAME: (("last name", "surname", "family name"), ("sobrenome", "ultimo nome")),
    Field.COMPANY: (
        ("company", "company name", "account", "account name", "organization", "organisation", "organization name",
         "customer", "client", "business", "associated company"),
        ("empresa", "nome da empresa", "razao social", "organizacao", "cliente", "nome fantasia", "conta"),
    ),
    Field.NAME: (
        ("name", "full name", "contact", "contact name", "person", "contact person", "primary contact"),
        ("pessoa", "nome", "contato", "nome do contato", "nome completo", "pessoa de contato"),
    ),
}  # fmt: skip

_ENGLISH, _PORTUGUESE = 0, 1
_EXACT = {name: field for field, tongues in _NAMES.items() for names in tongues for name in names}
# One-word names such as "id", "key", "data" or "name" prove nothing inside a longer header.
_TOO_COMMON = {
    "id", "key", "date", "data", "name", "nome", "number", "numero", "value", "valor", "title", "titulo", "deal", "negocio",
    "channel", "canal", "account", "conta", "position", "job", "mail", "cell", "note", "product", "produto", "description",
    "descricao", "contact", "contato", "customer", "client", "cliente", "business", "person", "pessoa", "price",
}  # fmt: skip
_INSIDE = [
    (field, frozenset(name.split()))
    for field, tongues in _NAMES.items()
    for names in tongues
    for name in names
    if name not in _TOO_COMMON
]


def normalised(header: str) -> str:
    """A header as the table spells it: no accents, case or punctuation. `Valor mensal (MRR)` is `valor mensal mrr`."""
    return re.sub(r"[\W_]+", " ", folded(re.sub(r"(?<=[a-z])(?=[A-Z])", " ", header))).strip()


def headers_language(headers: Sequence[str]) -> Language:
    """The language that most headers are in; English where they don't tell."""
    names = {normalised(header) for header in headers}
    spoken = [
        sum(bool(names & set(tongues[tongue])) for tongues in _NAMES.values()) for tongue in (_ENGLISH, _PORTUGUESE)
    ]
    return Language.PT_BR if spoken[_PORTUGUESE] > spoken[_ENGLISH] else Language.EN


EMAIL_LOOK = re.compile(r"[^@\s,;]+@[^@\s,;]+\.[^@\s,;.]{2,}")
DATE_LOOK = re.compile(r"(\d{4}[-/.]\d{1,2}[-/.]\d{1,2}|\d{1,2}[-/.]\d{1,2}[-/.]\d{2,4})([T ]\d.*)?")
# Brazil's CNPJ, with letters from July 2026 on (Receita Federal, IN RFB 2.229/2024).
CNPJ_LOOK = re.compile(r"[0-9A-Za-z]{2}\.?[0-9A-Za-z]{3}\.?[0-9A-Za-z]{3}/?[0-9A-Za-z]{4}-?\d{2}")
_PHONE_LOOK = re.compile(r"\+?[\d\s().\-/]{8,20}")
_PRICE_LOOK = re.compile(r"(R\$|US\$|[$€£])\s?-?[\d.,]+|[\d.,]+\s?(R\$|[€£])|\d[\d.,]*[.,]\d\d")
_ZONE_LOOK = re.compile(r"(Africa|America|Antarctica|Asia|Atlantic|Australia|Europe|Indian|Pacific)/[\w+\-/]+")
_LANGUAGE_LOOK = re.compile(r"(en|pt|es|fr|de|it)([-_][A-Za-z]{2})?")

_LOOKS: tuple[tuple[Field, re.Pattern[str]], ...] = (
    (Field.EMAIL, EMAIL_LOOK),
    (Field.TIME_ZONE, _ZONE_LOOK),
    (Field.SOLD_ON, DATE_LOOK),
    (Field.TAX_ID, re.compile(r"\d{2}\.\d{3}\.\d{3}/\d{4}-\d{2}")),
    (Field.PRICE, _PRICE_LOOK),
    (Field.LANGUAGE, _LANGUAGE_LOOK),
    (Field.CURRENCY, re.compile(r"[A-Z]{3}")),
    (Field.PHONE, _PHONE_LOOK),
)
_ENOUGH = 0.8
_SAMPLE_ROWS = 200


def guess_columns(headers: Sequence[str], rows: Sequence[Sequence[str]]) -> tuple[Column, ...]:
    """What each column means, most certain first: each field at most once. Looks at the first 200 rows only."""
    samples = [
        [cell.strip() for row in rows[:_SAMPLE_ROWS] if index < len(row) and (cell := row[index][:300]).strip()]
        for index in range(len(headers))
    ]
    taken: dict[int, tuple[Field, Confidence]] = {}
    for confidence in (Confidence.NAMED, Confidence.LIKELY, Confidence.GUESSED):
        for index, header in enumerate(headers):
            if index in taken:
                continue
            field = _field_of(header, samples[index], confidence)
            if field is not None and field not in {known for known, _ in taken.values()}:
                taken[index] = (field, confidence)
    return tuple(
        Column(
            index=index,
            header=header,
            field=taken[index][0] if index in taken else None,
            confidence=taken[index][1] if index in taken else Confidence.NONE,
            examples=tuple(dict.fromkeys(samples[index]))[:3],
        )
        for index, header in enumerate(headers)
    )


def _field_of(header: str, values: Sequence[str], confidence: Confidence) -> Field | None:
    name = normalised(header)
    look = _look_of(values)
    # A column "Contact" full of addresses is the address, whatever it is called.
    if look in (Field.EMAIL, Field.PHONE) and _EXACT.get(name) in (Field.NAME, Field.COMPANY, Field.DEAL_ID):
        return look if confidence is Confidence.GUESSED else None
    match confidence:
        case Confidence.NAMED:
            return _EXACT.get(name)
        case Confidence.LIKELY:
            words = set(name.split())
            return next((field for field, needed in _INSIDE if needed <= words), None)
        case _:
            return look


def _look_of(values: Sequence[str]) -> Field | None:
    if not values:
        return None
    for field, look in _LOOKS:
        if sum(look.fullmatch(value) is not None for value in values) >= _ENOUGH * len(values):
            # A few addresses again and again are colleagues, not customers.
            if field is Field.EMAIL and len(values) >= 10 and len(set(values)) * 5 <= len(values):
                return Field.CONSULTANT
            return field
    return None
