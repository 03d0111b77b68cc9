"""The two pipelines that ship, After-sale and Relationship, as data.

`load_shipped` puts a version into the database once; from then on the rows are the truth and administrators change them
as new versions. Changing this file means raising `version`.
"""

from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import insert, select
from sqlalchemy.orm import Session

from portal.journeys.models import PipelineRow, PlanTemplate, StageRow
from portal.journeys.plan_templates import FOR_ALL, put_template
from portal.journeys.plans import Entry
from portal.journeys.rules import ActivityKind, Do, Ending, EntryKind, LimitFrom, Step, Whose

AFTER_SALE = "after_sale"
RELATIONSHIP = "relationship"


@dataclass(frozen=True)
class StagePlan:
    key: str
    name: tuple[str, str]
    customer_name: tuple[str, str]
    customer_text: tuple[str, str]
    moves_on: tuple[str, ...] = ()
    on_enter: tuple[Step, ...] = ()
    limit_days: int | None = None
    limit_from: LimitFrom = LimitFrom.ENTERED
    contact_day: int | None = None
    gives_way_on_day: int | None = None
    ends: Ending | None = None
    by_hand_only: bool = False


@dataclass(frozen=True)
class MilestonePlan:
    key: str
    title: tuple[str, str]
    whose: Whose
    day: int | None
    help: tuple[str, str] = ("", "")
    stage: str = "deployment"
    needs: tuple[str, ...] = ()
    after: tuple[str, int] | None = None
    """So many days after another one, instead of a day of its own."""


@dataclass(frozen=True)
class TouchpointPlan:
    key: str
    title: tuple[str, str]
    objective: tuple[str, str]
    channel: str
    day: int | None
    stage: str = "deployment"


@dataclass(frozen=True)
class PipelinePlan:
    key: str
    version: int
    name: tuple[str, str]
    stages: tuple[StagePlan, ...]
    milestones: tuple[MilestonePlan, ...] = ()
    touchpoints: tuple[TouchpointPlan, ...] = field(default=())


SHIPPED = (
    PipelinePlan(
        key=AFTER_SALE,
        version=1,
        name=("After-sale", "Pós-venda"),
        stages=(
            StagePlan(
                key="demand_analysis",
                name=("Demand analysis", "Análise da demanda"),
                customer_name=("Getting to know you", "Conhecendo você"),
                customer_text=(
                    "We read your contract and brief your consultant.",
                    "Lemos seu contrato e preparamos a pessoa que vai cuidar de você.",
                ),
                on_enter=(Step(Do.ASSIGN_CONSULTANT), Step(Do.ACTIVITY, ActivityKind.ANALYSE_DEMAND, after_days=1)),
                moves_on=("demand_analysed", "plan_known", "owner_assigned", "reachable"),
                limit_days=1,
            ),
            StagePlan(
                key="first_contact",
                name=("Contact with customer", "Contato com o cliente"),
                customer_name=("First hello", "Primeira conversa"),
                customer_text=(
                    "You meet your consultant and agree how to stay in touch.",
                    "Você conhece quem vai te acompanhar e combina como manter contato.",
                ),
                on_enter=(
                    Step(Do.MAIL, "welcome"),
                    Step(Do.ACTIVITY_UNLESS_CONTACT, ActivityKind.CALL_NO_CONTACT, after_days=2),
                ),
                moves_on=("first_contact",),
                limit_days=5,
            ),
            StagePlan(
                key="deployment",
                name=("Deployment & feedback", "Implantação/Feedback"),
                customer_name=("Setting up", "Colocando para rodar"),
                customer_text=(
                    "Your first real use, and the first doubts solved.",
                    "O primeiro uso de verdade, e as primeiras dúvidas resolvidas.",
                ),
                on_enter=(Step(Do.START_USE), Step(Do.ACTIVITY, ActivityKind.FILL_IN_NEEDS, after_days=2)),
                moves_on=("day_of_use:30",),
                limit_days=30,
            ),
            StagePlan(
                key="follow_up_30",
                name=("30-day follow-up", "30 dias de acompanhamento"),
                customer_name=("30-day check-in", "Conversa dos 30 dias"),
                customer_text=(
                    "A few honest questions, then goals for day 60.",
                    "Algumas perguntas sinceras e, depois, as metas para o dia 60.",
                ),
                on_enter=(
                    Step(Do.START_USE),
                    Step(Do.SURVEY, day=30),
                    Step(Do.ACTIVITY, ActivityKind.CONTACT_60, day=60),
                ),
                moves_on=("contact_settled:30",),
                limit_days=7,
                limit_from=LimitFrom.ASKED,
                contact_day=30,
                gives_way_on_day=60,
            ),
            StagePlan(
                key="follow_up_60",
                name=("60-day follow-up", "60 dias de acompanhamento"),
                customer_name=("60-day check-in", "Conversa dos 60 dias"),
                customer_text=(
                    "The same again, even if all is well: teams and needs change.",
                    "De novo, mesmo que tudo vá bem: equipes e necessidades mudam.",
                ),
                on_enter=(
                    Step(Do.START_USE),
                    Step(Do.SURVEY, day=60),
                    Step(Do.ACTIVITY, ActivityKind.CONTACT_90, day=90),
                ),
                moves_on=("contact_settled:60",),
                limit_days=7,
                limit_from=LimitFrom.ASKED,
                contact_day=60,
                gives_way_on_day=90,
            ),
            StagePlan(
                key="follow_up_90",
                name=("90-day follow-up", "90 dias de acompanhamento"),
                customer_name=("90-day check-in", "Conversa dos 90 dias"),
                customer_text=(
                    "We look at the results against your goals.",
                    "Olhamos os resultados ao lado das suas metas.",
                ),
                on_enter=(Step(Do.START_USE), Step(Do.SURVEY, day=90)),
                moves_on=("contact_settled:90", "all_contacts_settled", "goals_met:90"),
                limit_days=7,
                limit_from=LimitFrom.ASKED,
                contact_day=90,
            ),
            StagePlan(
                key="approved",
                name=("Approved customer", "Cliente homologado"),
                customer_name=("Up and running", "Tudo rodando"),
                customer_text=(
                    "The same people at your side, in a lighter rhythm.",
                    "As mesmas pessoas ao seu lado, em um ritmo mais leve.",
                ),
                on_enter=(
                    Step(Do.MAIL, "congratulations"),
                    Step(Do.ACTIVITY, ActivityKind.HAND_OVER, after_days=2),
                    Step(Do.OPEN_NEXT, RELATIONSHIP),
                    Step(Do.PROMPT_REFERRAL, "approval"),
                ),
                ends=Ending.WON,
            ),
        ),
        milestones=(
            MilestonePlan(
                "brief",
                ("Brief your consultant on your contract", "Apresentar seu contrato a quem vai te acompanhar"),
                Whose.US,
                None,
                stage="demand_analysis",
            ),
            MilestonePlan(
                "channels",
                ("Tell us how you like to be reached", "Contar como prefere falar com a gente"),
                Whose.YOU,
                None,
                (
                    "Phone, e-mail or WhatsApp, and the best hours.",
                    "Telefone, e-mail ou WhatsApp, e os melhores horários.",
                ),
                stage="first_contact",
            ),
            MilestonePlan("kickoff", ("Hold the kick-off call", "Fazer a conversa de início"), Whose.TOGETHER, 3),
            MilestonePlan(
                "first_use",
                ("Use it for one real task", "Usar em uma tarefa de verdade"),
                Whose.YOU,
                7,
                (
                    "Small is fine: one task you would do anyway.",
                    "Pode ser pequena: uma tarefa que você faria de qualquer jeito.",
                ),
            ),
            MilestonePlan(
                "invite", ("Bring in the colleagues who will use it", "Chamar os colegas que vão usar"), Whose.YOU, 10
            ),
            MilestonePlan(
                "doubts",
                ("Answer your first doubts", "Responder às suas primeiras dúvidas"),
                Whose.US,
                None,
                after=("first_use", 7),
            ),
            MilestonePlan(
                "goals_30", ("Agree the goals for day 30", "Combinar as metas do dia 30"), Whose.TOGETHER, 14
            ),
            MilestonePlan(
                "routine",
                ("Make it part of the week", "Fazer parte da rotina da semana"),
                Whose.YOU,
                25,
                needs=("first_use",),
            ),
            MilestonePlan(
                "goals_60",
                ("Agree the goals for day 60", "Combinar as metas do dia 60"),
                Whose.TOGETHER,
                35,
                stage="follow_up_30",
                needs=("goals_30",),
            ),
            MilestonePlan(
                "second_team",
                ("Train a second person", "Treinar uma segunda pessoa"),
                Whose.YOU,
                50,
                stage="follow_up_30",
                needs=("invite",),
            ),
            MilestonePlan(
                "goals_90",
                ("Agree the goals for day 90", "Combinar as metas do dia 90"),
                Whose.TOGETHER,
                65,
                stage="follow_up_60",
                needs=("goals_60",),
            ),
            MilestonePlan(
                "results",
                ("Look at the results together", "Olhar os resultados juntos"),
                Whose.TOGETHER,
                None,
                stage="follow_up_90",
                needs=("goals_90",),
                after=("goals_90", 23),
            ),
        ),
        touchpoints=(
            TouchpointPlan(
                "welcome",
                ("Welcome", "Boas-vindas"),
                (
                    "You meet your consultant and every way to reach them.",
                    "Você conhece quem vai te acompanhar e todas as formas de contato.",
                ),
                "email",
                None,
                stage="first_contact",
            ),
            TouchpointPlan(
                "kickoff",
                ("Kick-off call", "Conversa de início"),
                (
                    "We agree what good looks like and who does what.",
                    "Combinamos o que é um bom resultado e quem faz o quê.",
                ),
                "meeting",
                3,
            ),
            TouchpointPlan(
                "day14",
                ("Two-week check-in", "Conversa das duas semanas"),
                ("First doubts, first feedback.", "Primeiras dúvidas, primeiras impressões."),
                "meeting",
                14,
            ),
            TouchpointPlan(
                "day30",
                ("30-day check-in", "Conversa dos 30 dias"),
                (
                    "Are you satisfied? We settle what isn't right.",
                    "Você está satisfeito? Resolvemos o que não estiver bom.",
                ),
                "email",
                30,
                stage="follow_up_30",
            ),
            TouchpointPlan(
                "day60",
                ("60-day check-in", "Conversa dos 60 dias"),
                ("The same, even if all is well.", "De novo, mesmo que tudo vá bem."),
                "email",
                60,
                stage="follow_up_60",
            ),
            TouchpointPlan(
                "day90",
                ("90-day check-in", "Conversa dos 90 dias"),
                ("Results against your goals.", "Resultados ao lado das suas metas."),
                "email",
                90,
                stage="follow_up_90",
            ),
        ),
    ),
    PipelinePlan(
        key=RELATIONSHIP,
        version=1,
        name=("Relationship", "Relacionamento"),
        stages=(
            StagePlan(
                key="good_hands",
                name=("In good hands", "Em boas mãos"),
                customer_name=("Growing together", "Crescendo juntos"),
                customer_text=(
                    "Quarterly check-ups, news, and help when you need it.",
                    "Conversas trimestrais, novidades e ajuda quando precisar.",
                ),
                moves_on=("renewal_within:60",),
            ),
            StagePlan(
                key="growing",
                name=("Growing", "Crescendo"),
                customer_name=("Growing together", "Crescendo juntos"),
                customer_text=("We are looking at your next step.", "Estamos olhando o seu próximo passo."),
                moves_on=("renewal_within:60",),
                by_hand_only=True,
            ),
            StagePlan(
                key="renewal",
                name=("Renewal", "Renovação"),
                customer_name=("Renewal", "Renovação"),
                customer_text=(
                    "We talk about the year behind and the one ahead.",
                    "Conversamos sobre o ano que passou e o que vem.",
                ),
                limit_days=15,
            ),
            StagePlan(
                key="renewed",
                name=("Renewed", "Renovado"),
                customer_name=("Renewed", "Renovado"),
                customer_text=("Here's to the next year.", "Que venha o próximo ano."),
                on_enter=(Step(Do.OPEN_NEXT, RELATIONSHIP),),
                ends=Ending.WON,
                by_hand_only=True,
            ),
            StagePlan(
                key="lost",
                name=("Lost", "Perdido"),
                customer_name=("Goodbye for now", "Até breve"),
                customer_text=("Thank you for the time together.", "Obrigado pelo tempo juntos."),
                ends=Ending.LOST,
                by_hand_only=True,
            ),
        ),
    ),
)


def load_shipped(db: Session, *, now: datetime) -> int:
    """Puts in the shipped pipelines that the database doesn't hold yet, and the plan for all products; gives how many
    pipelines were new. Safe to run at each start."""
    known = {(key, version) for key, version in db.execute(select(PipelineRow.key, PipelineRow.version))}
    new = [plan for plan in SHIPPED if (plan.key, plan.version) not in known]
    for plan in new:
        row = PipelineRow(
            key=plan.key,
            version=plan.version,
            name_en=plan.name[0],
            name_pt=plan.name[1],
            created_at=now,
        )
        db.add(row)
        db.flush()
        db.execute(
            insert(StageRow), [_stage_row(stage, row.id, position) for position, stage in enumerate(plan.stages)]
        )
    if db.scalar(select(PlanTemplate.id).where(PlanTemplate.product_key == FOR_ALL)) is None:
        entries = [entry for plan in SHIPPED for entry in _entries(plan)]
        put_template(db, product=FOR_ALL, entries=entries, by="system", now=now)
    return len(new)


def _entries(plan: PipelinePlan) -> list[Entry]:
    milestones = [
        Entry(
            EntryKind.MILESTONE,
            m.key,
            m.title,
            m.help,
            m.stage,
            whose=m.whose,
            day=m.day,
            after_key=m.after[0] if m.after else "",
            after_days=m.after[1] if m.after else 0,
            needs=m.needs,
        )
        for m in plan.milestones
    ]
    touchpoints = [
        Entry(EntryKind.TOUCHPOINT, t.key, t.title, t.objective, t.stage, channel=t.channel, day=t.day)
        for t in plan.touchpoints
    ]
    return milestones + touchpoints


def _stage_row(stage: StagePlan, pipeline_id: int, position: int) -> dict[str, Any]:
    return {
        "pipeline_id": pipeline_id,
        "position": position,
        "key": stage.key,
        "name_en": stage.name[0],
        "name_pt": stage.name[1],
        "customer_name_en": stage.customer_name[0],
        "customer_name_pt": stage.customer_name[1],
        "customer_text_en": stage.customer_text[0],
        "customer_text_pt": stage.customer_text[1],
        "moves_on": list(stage.moves_on),
        "on_enter": [asdict(step) for step in stage.on_enter],
        "limit_days": stage.limit_days,
        "limit_from": stage.limit_from,
        "contact_day": stage.contact_day,
        "gives_way_on_day": stage.gives_way_on_day,
        "ends": stage.ends,
        "by_hand_only": stage.by_hand_only,
    }
