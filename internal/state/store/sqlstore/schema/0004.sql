-- Version 4: mail that goes on to other servers. Lists are texts with line feeds
-- between the items; a choice is 0 for what the level above says, 1 yes, 2 no.

-- forward are addresses an account's mail goes on to, forward_only that no copy
-- is kept here, forwarding whether it may.
ALTER TABLE domain ADD COLUMN forwarding INTEGER NOT NULL DEFAULT 0;
ALTER TABLE account ADD COLUMN forward TEXT NOT NULL DEFAULT '';
ALTER TABLE account ADD COLUMN forward_only INTEGER NOT NULL DEFAULT 0;
ALTER TABLE account ADD COLUMN forwarding INTEGER NOT NULL DEFAULT 0;

-- Domains whose mail goes on to their main server; .far.test stands for the
-- subdomains. Without hosts DNS names it. name_key is the name, folded.
CREATE TABLE relay_domain (
	name_key TEXT PRIMARY KEY,
	name TEXT NOT NULL,
	domain TEXT NOT NULL,
	listed INTEGER NOT NULL,
	hosts TEXT NOT NULL,
	port INTEGER NOT NULL,
	secure INTEGER NOT NULL,
	any_certificate INTEGER NOT NULL,
	fingerprint TEXT NOT NULL,
	disabled INTEGER NOT NULL,
	created INTEGER NOT NULL
) WITHOUT ROWID;
CREATE UNIQUE INDEX relay_domain_domain ON relay_domain (domain);

-- The recipients a main server has.
CREATE TABLE relay_recipient (
	name_key TEXT NOT NULL,
	address_key TEXT NOT NULL,
	address TEXT NOT NULL,
	PRIMARY KEY (name_key, address_key)
) WITHOUT ROWID;

-- Rules by which some mail takes another way, in their order. by_sender tells
-- the kind, password is sealed; without hosts mail goes directly.
CREATE TABLE relay_rule (
	position INTEGER PRIMARY KEY,
	name TEXT NOT NULL,
	by_sender INTEGER NOT NULL,
	targets TEXT NOT NULL,
	hosts TEXT NOT NULL,
	port INTEGER NOT NULL,
	secure INTEGER NOT NULL,
	any_certificate INTEGER NOT NULL,
	fingerprint TEXT NOT NULL,
	login TEXT NOT NULL,
	password TEXT NOT NULL,
	clear_login INTEGER NOT NULL,
	disabled INTEGER NOT NULL,
	created INTEGER NOT NULL
);
