-- Version 3: secrets by which programs call the HTTP API. hint is the beginning
-- of hash, networks are prefixes with spaces between them.

CREATE TABLE token (
	name TEXT PRIMARY KEY,
	hint TEXT NOT NULL,
	hash BLOB NOT NULL,
	role TEXT NOT NULL,
	networks TEXT NOT NULL,
	author TEXT NOT NULL,
	created INTEGER NOT NULL,
	expires INTEGER NOT NULL,
	used INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX token_hint ON token (hint);
