"""Every table there is: imported by migrations and by whoever needs the whole schema at hand."""

from portal import audit, auth, idempotency, mail, media
from portal.accounts import asking_models as asking
from portal.accounts import models as accounts
from portal.accounts import people_models as people
from portal.journeys import import_models as imports
from portal.journeys import models as journeys
from portal.learning import models as learning
from portal.meetings import models as meetings
from portal.messages import models as messages
from portal.referrals import models as referrals
from portal.search import models as search
from portal.surveys import models as surveys
from portal.surveys import round_models as rounds
from portal.surveys import tally_models as tallies

TABLES = (
    audit,
    auth,
    idempotency,
    mail,
    media,
    accounts,
    people,
    asking,
    journeys,
    imports,
    meetings,
    messages,
    surveys,
    rounds,
    tallies,
    learning,
    referrals,
    search,
)

EVERY = accounts.Account.metadata.tables
"""Each by its name."""
