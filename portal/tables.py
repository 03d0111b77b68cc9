"""Every table there is: imported by migrations and by whoever needs the whole schema at hand."""

from portal import audit, auth, mail
from portal.accounts import models as accounts
from portal.journeys import models as journeys

TABLES = (audit, auth, mail, accounts, journeys)
