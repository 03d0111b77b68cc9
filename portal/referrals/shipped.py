"""The referral programme that ships: one month free for both. From then on the row is the truth."""

from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from portal.referrals.models import Programme

_TERMS_EN = """\
You both get one month free once your friend’s company has become a customer and paid its first invoice.
Your month comes off your next invoice. There is no limit to how many friends you bring.
The reward is for a friend who becomes a customer, never for an address alone.
Friends can’t be colleagues at your own company, nor people who are customers already.
If two people refer the same friend, the first one counts.
We write to each friend once at most, in your name, and forget the address right afterwards. Please share with people you know.
We look at every referral ourselves. Until we have decided, the reward counts as not given yet."""

_TERMS_PT = """\
Vocês dois ganham um mês grátis quando a empresa do seu amigo vira cliente e paga a primeira fatura.
O seu mês é descontado da sua próxima fatura. Você pode indicar quantos amigos quiser.
A recompensa é por um amigo que vira cliente, nunca por um endereço apenas.
Não valem colegas da sua própria empresa nem quem já é cliente.
Se duas pessoas indicarem o mesmo amigo, vale a primeira indicação.
Escrevemos para cada amigo no máximo uma vez, em seu nome, e logo depois esquecemos o endereço. Indique pessoas que você conhece.
Olhamos cada indicação pessoalmente. Enquanto não decidirmos, a recompensa ainda não foi concedida."""


def load_shipped_programme(db: Session, *, now: datetime) -> None:
    """Puts the default programme into a database that has none; later it changes nothing."""
    if db.scalar(select(Programme.id).limit(1)) is not None:
        return
    db.add(
        Programme(
            is_current=True,
            headline_en="You both get a month free",
            headline_pt="Vocês dois ganham um mês grátis",
            friend_gets_en="Your first month is free.",
            friend_gets_pt="Seu primeiro mês é grátis.",
            referrer_gets_en="One month free, off your next invoice.",
            referrer_gets_pt="Um mês grátis, descontado da sua próxima fatura.",
            terms_en=_TERMS_EN,
            terms_pt=_TERMS_PT,
            created_at=now,
            created_by="system",
        )
    )
    db.flush()
