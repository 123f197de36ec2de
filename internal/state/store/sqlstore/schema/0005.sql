-- Version 5: what the rules remember of strangers.

-- Allow and block lists; name_key is the name in lower case, folded what
-- searches look at, in lower case too.
CREATE TABLE access_rule (
	id INTEGER PRIMARY KEY,
	name_key TEXT NOT NULL,
	name TEXT NOT NULL,
	folded TEXT NOT NULL,
	block INTEGER NOT NULL,
	kind TEXT NOT NULL,
	value TEXT NOT NULL,
	discard INTEGER NOT NULL,
	from_field INTEGER NOT NULL,
	authenticated INTEGER NOT NULL,
	disabled INTEGER NOT NULL,
	owner TEXT NOT NULL,
	reason TEXT NOT NULL,
	author TEXT NOT NULL,
	created INTEGER NOT NULL,
	expires INTEGER NOT NULL,
	hits INTEGER NOT NULL,
	last_hit INTEGER NOT NULL,
	version INTEGER NOT NULL
);
CREATE UNIQUE INDEX access_rule_name ON access_rule (name_key);
CREATE INDEX access_rule_expires ON access_rule (expires);

-- The greylist: first is t0, confirmed 0 while no retry came in time. Rows lie
-- in order of arrival, which packs them and keeps the indexes small.
CREATE TABLE greylist (
	client TEXT PRIMARY KEY,
	first INTEGER NOT NULL,
	confirmed INTEGER NOT NULL,
	last INTEGER NOT NULL,
	deferred INTEGER NOT NULL,
	passed INTEGER NOT NULL,
	sender TEXT NOT NULL,
	recipient TEXT NOT NULL,
	helo TEXT NOT NULL
);
CREATE INDEX greylist_last ON greylist (last);
CREATE INDEX greylist_state ON greylist (confirmed, first);

-- Hosts that are not let in; until 0 is for ever.
CREATE TABLE ban (
	host TEXT NOT NULL,
	kind INTEGER NOT NULL,
	reason TEXT NOT NULL,
	first INTEGER NOT NULL,
	last INTEGER NOT NULL,
	failures INTEGER NOT NULL,
	until INTEGER NOT NULL,
	author TEXT NOT NULL,
	PRIMARY KEY (host, kind)
) WITHOUT ROWID;
CREATE INDEX ban_until ON ban (kind, until);

-- Aggregate reports of other servers about our domains.
CREATE TABLE dmarc_report (
	id INTEGER PRIMARY KEY,
	domain TEXT NOT NULL,
	organization TEXT NOT NULL,
	email TEXT NOT NULL,
	report_id TEXT NOT NULL,
	begin_at INTEGER NOT NULL,
	end_at INTEGER NOT NULL,
	received INTEGER NOT NULL,
	policy TEXT NOT NULL
);
CREATE UNIQUE INDEX dmarc_report_name ON dmarc_report (organization, report_id, domain);
CREATE INDEX dmarc_report_domain ON dmarc_report (domain, id);
CREATE INDEX dmarc_report_received ON dmarc_report (received);

CREATE TABLE dmarc_report_row (
	report INTEGER NOT NULL,
	position INTEGER NOT NULL,
	source TEXT NOT NULL,
	count INTEGER NOT NULL,
	disposition TEXT NOT NULL,
	dkim TEXT NOT NULL,
	spf TEXT NOT NULL,
	header_from TEXT NOT NULL,
	detail TEXT NOT NULL,
	PRIMARY KEY (report, position)
) WITHOUT ROWID;

-- What our own reports will tell: hash names the combination of the other columns.
CREATE TABLE dmarc_seen (
	day INTEGER NOT NULL,
	domain TEXT NOT NULL,
	hash TEXT NOT NULL,
	source TEXT NOT NULL,
	header_from TEXT NOT NULL,
	envelope_from TEXT NOT NULL,
	disposition TEXT NOT NULL,
	override TEXT NOT NULL,
	dkim TEXT NOT NULL,
	spf TEXT NOT NULL,
	dkim_domain TEXT NOT NULL,
	dkim_selector TEXT NOT NULL,
	dkim_raw TEXT NOT NULL,
	spf_domain TEXT NOT NULL,
	spf_raw TEXT NOT NULL,
	policy TEXT NOT NULL,
	count INTEGER NOT NULL,
	PRIMARY KEY (day, domain, hash)
) WITHOUT ROWID;
