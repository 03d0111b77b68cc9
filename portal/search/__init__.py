"""Search over everything a customer may see: typo-tolerant and accent-blind, in both languages, as one types.

There are two ways to be found.

*Written once for many, or without end* (lessons, news, messages): the words stand in the index. The room's own actions
call down, in their own transaction, so that what was taken back is gone the moment it is taken back:

    index.put(db, [Document(Kind.NEWS, ref=str(row.id), language="en", title=…, text=…, path=f"/news/{row.id}")])
    index.remove(db, Kind.NEWS, [str(row.id)])

`audience` says who may find it: EVERYBODY, `of_plan("Growth")`, `of_account(12)` or `of_contact(7)`; what is for two plans
is put twice. A new kind of thing is a word in `rules.Kind`, its name and picture in `routes/customer/search.py`, and one
more line in `findable.SOURCES`, from which `portal reindex` (and `portal migrate`) fills the index anew.

*The reader's own few dozen rows* (their plan, their meetings, their consultant, the portal's own places) are not in the
index: the page reads them through the person who asks, as their own pages do, and hands them over as Documents to
`queries.find(…, own=…)`, which looks through them by the same rules. So they are never stale, nobody else can meet them,
and a morning on which ten thousand plans change writes nothing here.
"""
