"""What ships with the product and is put into an empty database: pipelines, surveys, lessons, the referral programme."""

from datetime import datetime

from sqlalchemy.orm import Session

from portal.findable import bring_up_to_date
from portal.journeys.shipped import load_shipped
from portal.learning.actions import load_shipped_tutorials
from portal.referrals.shipped import load_shipped_programme
from portal.surveys.shipped import load_shipped_surveys, load_shipped_triggers


def load_all(db: Session, *, now: datetime) -> None:
    """Puts in what is not there yet; safe to run at each start, and never overwrites what was changed since."""
    load_shipped(db, now=now)
    load_shipped_surveys(db, now=now)
    load_shipped_triggers(db, now=now)
    load_shipped_tutorials(db, now=now)
    load_shipped_programme(db, now=now)
    bring_up_to_date(db)
