-- Version 11: client hosts that did well, and what for (0: mail, 1: an
-- administrator's login). version is the value of the counter regular that the
-- note had; regular.mail and regular.administrator count along.
CREATE TABLE regular (
	kind INTEGER NOT NULL,
	host TEXT NOT NULL,
	last INTEGER NOT NULL,
	version INTEGER NOT NULL,
	PRIMARY KEY (kind, host)
) WITHOUT ROWID;
CREATE INDEX regular_last ON regular (kind, last);
CREATE INDEX regular_version ON regular (version);
