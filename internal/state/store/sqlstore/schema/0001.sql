-- Version 1. Written in the subset both engines understand; for PostgreSQL the
-- words INTEGER, BLOB, TEXT and WITHOUT ROWID are translated (schema.go).
-- Times are UTC microseconds, 0 for none. Truth values are 0 and 1.

-- Counters: where id blocks go on (message, blob, mailbox, account, recipient),
-- and the versions of directory and settings.
CREATE TABLE counter (
	name TEXT PRIMARY KEY,
	value INTEGER NOT NULL
) WITHOUT ROWID;

-- People and names.

CREATE TABLE domain (
	name TEXT PRIMARY KEY,
	catch_all TEXT NOT NULL,
	separator TEXT NOT NULL,
	disabled INTEGER NOT NULL,
	created INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TABLE account (
	id INTEGER PRIMARY KEY,
	full_name TEXT NOT NULL,
	password TEXT NOT NULL,
	scram256 TEXT NOT NULL,
	scram1 TEXT NOT NULL,
	admin INTEGER NOT NULL,
	disabled INTEGER NOT NULL,
	quota_bytes INTEGER NOT NULL,
	quota_messages INTEGER NOT NULL,
	created INTEGER NOT NULL,
	version INTEGER NOT NULL
);

-- Every address that leads somewhere: to an account (account_id > 0) or to the
-- alias of the same key (account_id = 0). position 0 is the primary address.
CREATE TABLE address (
	address_key TEXT PRIMARY KEY,
	address TEXT NOT NULL,
	domain TEXT NOT NULL,
	account_id INTEGER NOT NULL,
	position INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX address_account ON address (account_id, position);
CREATE INDEX address_domain ON address (domain, address_key);

CREATE TABLE alias (
	address_key TEXT PRIMARY KEY,
	address TEXT NOT NULL,
	domain TEXT NOT NULL,
	is_group INTEGER NOT NULL,
	title TEXT NOT NULL,
	send_as INTEGER NOT NULL,
	created INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX alias_domain ON alias (domain, address_key);

CREATE TABLE alias_target (
	alias_key TEXT NOT NULL,
	position INTEGER NOT NULL,
	target_key TEXT NOT NULL,
	target TEXT NOT NULL,
	PRIMARY KEY (alias_key, position)
) WITHOUT ROWID;
CREATE INDEX alias_target_member ON alias_target (target_key);

-- Settings and their history.

CREATE TABLE setting (
	name TEXT PRIMARY KEY,
	value TEXT NOT NULL,
	version INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TABLE setting_change (
	version INTEGER PRIMARY KEY,
	time INTEGER NOT NULL,
	author TEXT NOT NULL,
	comment TEXT NOT NULL,
	items TEXT NOT NULL,
	undoes INTEGER NOT NULL,
	confirm_by INTEGER NOT NULL
);

-- The mail of accounts.

-- The row of an account that its writers lock: its change sequence and usage.
CREATE TABLE account_mail (
	account_id INTEGER PRIMARY KEY,
	mod_seq INTEGER NOT NULL,
	uid_validity INTEGER NOT NULL,
	bytes INTEGER NOT NULL,
	messages INTEGER NOT NULL
);

-- log_floor: changes up to this mod_seq are no longer in the log of the mailbox.
CREATE TABLE mailbox (
	account_id INTEGER NOT NULL,
	id INTEGER NOT NULL,
	name TEXT NOT NULL,
	role INTEGER NOT NULL,
	uid_validity INTEGER NOT NULL,
	uid_next INTEGER NOT NULL,
	mod_seq INTEGER NOT NULL,
	messages INTEGER NOT NULL,
	unseen INTEGER NOT NULL,
	deleted INTEGER NOT NULL,
	size INTEGER NOT NULL,
	recent INTEGER NOT NULL,
	log_floor INTEGER NOT NULL,
	log_rows INTEGER NOT NULL,
	PRIMARY KEY (account_id, id)
) WITHOUT ROWID;
CREATE UNIQUE INDEX mailbox_name ON mailbox (account_id, name);

CREATE TABLE keyword (
	account_id INTEGER NOT NULL,
	mailbox_id INTEGER NOT NULL,
	position INTEGER NOT NULL,
	name TEXT NOT NULL,
	PRIMARY KEY (account_id, mailbox_id, position)
) WITHOUT ROWID;

CREATE TABLE subscription (
	account_id INTEGER NOT NULL,
	name TEXT NOT NULL,
	PRIMARY KEY (account_id, name)
) WITHOUT ROWID;

-- A message in a mailbox; saved is when it came there.
CREATE TABLE entry (
	account_id INTEGER NOT NULL,
	mailbox_id INTEGER NOT NULL,
	uid INTEGER NOT NULL,
	mod_seq INTEGER NOT NULL,
	flags INTEGER NOT NULL,
	size INTEGER NOT NULL,
	internal INTEGER NOT NULL,
	saved INTEGER NOT NULL,
	message_id INTEGER NOT NULL,
	PRIMARY KEY (account_id, mailbox_id, uid)
) WITHOUT ROWID;

-- What happened to messages that were there: kind 0 flags, 1 expunged. A row
-- of flags may cover UIDs in between that did not change.
CREATE TABLE change (
	account_id INTEGER NOT NULL,
	mailbox_id INTEGER NOT NULL,
	mod_seq INTEGER NOT NULL,
	first INTEGER NOT NULL,
	last INTEGER NOT NULL,
	kind INTEGER NOT NULL,
	PRIMARY KEY (account_id, mailbox_id, mod_seq, first)
) WITHOUT ROWID;

-- The structure of a message; refs counts its entries. In order of arrival.
CREATE TABLE message (
	id INTEGER PRIMARY KEY,
	account_id INTEGER NOT NULL,
	refs INTEGER NOT NULL,
	size INTEGER NOT NULL,
	meta BLOB NOT NULL
);

-- The octets of a message or of a queued one: content is the head followed by
-- the body, or the head alone when the body is in a blob. Same ids as message.
CREATE TABLE body (
	id INTEGER PRIMARY KEY,
	blob_id INTEGER NOT NULL,
	head INTEGER NOT NULL,
	content BLOB NOT NULL
);

-- A body outside the body table; refs counts the body rows that use it.
-- The segment is 0 where bodies are kept in blob_chunk.
CREATE TABLE blob (
	id INTEGER PRIMARY KEY,
	refs INTEGER NOT NULL,
	size INTEGER NOT NULL,
	segment INTEGER NOT NULL,
	start INTEGER NOT NULL,
	length INTEGER NOT NULL
);
CREATE INDEX blob_segment ON blob (segment, start);

-- The further stretches of a blob that lies in more than one place.
CREATE TABLE blob_part (
	blob_id INTEGER NOT NULL,
	part INTEGER NOT NULL,
	segment INTEGER NOT NULL,
	start INTEGER NOT NULL,
	length INTEGER NOT NULL,
	PRIMARY KEY (blob_id, part)
) WITHOUT ROWID;
CREATE INDEX blob_part_segment ON blob_part (segment, start);

-- Segment files and how many octets in them are in use.
CREATE TABLE segment (
	id INTEGER PRIMARY KEY,
	live INTEGER NOT NULL
);

-- Bodies in rows (PostgreSQL). A pending blob is one that is still arriving.
CREATE TABLE blob_chunk (
	blob_id INTEGER NOT NULL,
	chunk INTEGER NOT NULL,
	data BLOB NOT NULL,
	PRIMARY KEY (blob_id, chunk)
) WITHOUT ROWID;

CREATE TABLE blob_pending (
	blob_id INTEGER PRIMARY KEY,
	created INTEGER NOT NULL
);

-- Accept keys seen, and where their messages were filed.
CREATE TABLE accepted (
	accept_key BLOB PRIMARY KEY,
	filed BLOB NOT NULL
) WITHOUT ROWID;

-- What the sweeper has to take apart in small steps: references to a message
-- (message_id > 0), or a whole mailbox.
CREATE TABLE garbage (
	account_id INTEGER NOT NULL,
	mailbox_id INTEGER NOT NULL,
	message_id INTEGER NOT NULL,
	refs INTEGER NOT NULL,
	PRIMARY KEY (account_id, mailbox_id, message_id)
) WITHOUT ROWID;

-- Messages first..last of a mailbox for trash that go at a time (queue time),
-- those of them that still have the keyword.
CREATE TABLE trash_due (
	due INTEGER NOT NULL,
	account_id INTEGER NOT NULL,
	mailbox_id INTEGER NOT NULL,
	first INTEGER NOT NULL,
	last INTEGER NOT NULL,
	PRIMARY KEY (due, account_id, mailbox_id)
) WITHOUT ROWID;

-- The queue.

-- body_id names the row of body. bits: 1 SMTPUTF8, 2 8BITMIME, 4 BINARYMIME, 8 REQUIRETLS.
CREATE TABLE queue (
	id BLOB PRIMARY KEY,
	sender TEXT NOT NULL,
	sender_key TEXT NOT NULL,
	sender_domain TEXT NOT NULL,
	account_id INTEGER NOT NULL,
	client TEXT NOT NULL,
	body_id INTEGER NOT NULL,
	meta BLOB NOT NULL,
	size INTEGER NOT NULL,
	accepted INTEGER NOT NULL,
	expires INTEGER NOT NULL,
	ret TEXT NOT NULL,
	envelope_id TEXT NOT NULL,
	bits INTEGER NOT NULL
) WITHOUT ROWID;

-- Times of the queue are queue time (queueClock), equal to the wall clock until
-- that jumps. due: next_try, or the end of the lease while claimed. is_local: local_account > 0.
CREATE TABLE queue_recipient (
	id INTEGER PRIMARY KEY,
	queue_id BLOB NOT NULL,
	address TEXT NOT NULL,
	address_key TEXT NOT NULL,
	domain TEXT NOT NULL,
	original TEXT NOT NULL,
	notify INTEGER NOT NULL,
	local_account INTEGER NOT NULL,
	is_local INTEGER NOT NULL,
	state INTEGER NOT NULL,
	due INTEGER NOT NULL,
	next_try INTEGER NOT NULL,
	attempts INTEGER NOT NULL,
	last_error TEXT NOT NULL,
	owner TEXT NOT NULL,
	fence INTEGER NOT NULL
);
CREATE INDEX queue_recipient_message ON queue_recipient (queue_id);
CREATE INDEX queue_recipient_due ON queue_recipient (is_local, due, id) WHERE state = 0;
CREATE INDEX queue_recipient_owner ON queue_recipient (owner) WHERE owner <> '';
