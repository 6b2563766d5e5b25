"""The SQL doors between the gateway and PostgreSQL: schema `gateway_api`, and nothing else.

The gateway's database role may execute these functions and touch no table. Every function is
one transaction and safe to call again with the same arguments when its answer was lost.
Parameters are psycopg's.
"""

SCHEMA = "gateway_api"
DATABASE_ROLE = "dure_gateway"

#: (process uuid, node text, os pid int, software version text) → void. Registers a gateway process;
#: it owns its journal and its escrow until it is finished.
START_PROCESS = "SELECT gateway_api.start_process(%s, %s, %s, %s)"

#: (process uuid, figures json text) → void. At least every 5 s while the process lives. Refused (`NO_PROCESS`) for a
#: process that is unknown, finished or declared lost: it may spend nothing more, and ends itself.
HEARTBEAT = "SELECT gateway_api.heartbeat(%s, %s)"

#: (since bigint) → rows (version bigint, kind text, id text, payload text | null), by version.
DIRECTORY_CHANGES = "SELECT version, kind, id, payload FROM gateway_api.directory_changes(%s)"

#: (process uuid, award uuid, transfer uuid, needed micro-won bigint) → one row
#: (granted, award_left, escrow_elsewhere), all micro-won. Moves a slice from the award into this
#: process's escrow. `granted` is 0 or at least `needed`. Calling again with the same transfer id
#: answers the first call's grant.
LEASE = "SELECT granted, award_left, escrow_elsewhere FROM gateway_api.lease(%s, %s, %s, %s)"

#: (process uuid, award uuid, transfer uuid, amount micro-won bigint) → void. Returns idle escrow.
GIVE_BACK = "SELECT gateway_api.give_back(%s, %s, %s, %s)"

#: (award uuid) → void. Asks every process, by NOTIFY on `RECALL_CHANNEL` with the award's id as
#: payload, to give back what it can spare of this award.
RECALL = "SELECT gateway_api.recall(%s)"

#: (process uuid) → bigint: the last journal sequence that is posted, 0 for none; null for an unknown process.
POSTED_SEQUENCE = "SELECT gateway_api.posted_sequence(%s)"

#: (process uuid, after sequence bigint, up_to sequence bigint, records json text) → bigint: the new mark.
#: `records` is a JSON array of `UsageRecord`. Nothing happens, and the standing mark is answered,
#: unless the mark equals `after`: that makes posting exactly-once, whatever dies when.
POST_USAGE = "SELECT gateway_api.post_usage(%s, %s, %s, %s)"

#: (process uuid, after bigint, up_to bigint, kinds json text, rest json text, kind of each int4[], request ids uuid[],
#: input, output and cached tokens, cost micro-won, opened, closed and first byte at µs, seven bigint[]) → bigint: as
#: `POST_USAGE`, and faster. A kind is what many records say alike (`kind` is its number), the rest is what few have at
#: all (by `sequence`); -1 for no first byte. Null, and nothing happens, for a process that was declared lost: its
#: records go by `POST_USAGE`.
POST_USAGE_COLUMNS = (
    "SELECT gateway_api.post_usage_columns(%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)"
)

#: (process uuid) → void. For a process that has ended and whose journal is posted to its end:
#: returns all its escrow and marks it finished.
FINISH_PROCESS = "SELECT gateway_api.finish_process(%s)"

#: (process uuid) → one row (processes int, place int): how many processes live, and which of them, from 0, this one
#: is. They keep the deployments' `max_concurrency` together, each its part.
SHARE = "SELECT processes, place FROM gateway_api.share(%s)"

#: (process uuid) → one row (lost boolean, escrow, charged, uncovered), money in micro-won; none for an unknown process.
#: `escrow` is what it holds; `charged` and `uncovered` are what its usage came to after it was declared lost.
PROCESS_MONEY = "SELECT lost, escrow, charged, uncovered FROM gateway_api.process_money(%s)"

#: The SQLSTATE of a door that finds no such process, or one whose time is over.
NO_PROCESS = "P0002"

#: (process uuid, subject uuid, kind text, revision bigint, minute bigint, holding bigint, limit bigint,
#: needed bigint, wanted bigint) → one row (granted, left_over, elsewhere, minute, ends_in_ms, processes), all
#: bigint. A process states what it holds of a limit of an award or a key (`subject`), and asks for more; asking
#: for nothing gives back what it no longer states. `kind` is `requests` or `tokens`, held within `minute` of the
#: database's clock (minutes since 1970), or `slots`, held until given back (`minute` 0, `ends_in_ms` 0). `granted`
#: is 0 or at least `needed`; `wanted` is what it could use at once. A statement behind one with a higher
#: `revision` changes nothing.
ALLOT = (
    "SELECT granted, left_over, elsewhere, minute, ends_in_ms, processes"
    " FROM gateway_api.allot(%s, %s, %s, %s, %s, %s, %s, %s, %s)"
)

#: (subject uuid) → void. Asks every process, by NOTIFY on `RECALL_CHANNEL` with `SLOTS_PREFIX` and the subject's
#: id as payload, to give back the slots it can spare.
RECALL_SLOTS = "SELECT gateway_api.recall_slots(%s)"

RECALL_CHANNEL = "dure_recall"
SLOTS_PREFIX = "slots:"
