CREATE TABLE counter (
	name TEXT PRIMARY KEY,
	value INTEGER NOT NULL
) WITHOUT ROWID;

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

CREATE TABLE account_mail (
	account_id INTEGER PRIMARY KEY,
	mod_seq INTEGER NOT NULL,
	uid_validity INTEGER NOT NULL,
	bytes INTEGER NOT NULL,
	messages INTEGER NOT NULL
);

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

CREATE TABLE change (
	account_id INTEGER NOT NULL,
	mailbox_id INTEGER NOT NULL,
	mod_seq INTEGER NOT NULL,
	first INTEGER NOT NULL,
	last INTEGER NOT NULL,
	kind INTEGER NOT NULL,
	PRIMARY KEY (account_id, mailbox_id, mod_seq, first)
) WITHOUT ROWID;

CREATE TABLE message (
	id INTEGER PRIMARY KEY,
	account_id INTEGER NOT NULL,
	refs INTEGER NOT NULL,
	size INTEGER NOT NULL,
	meta BLOB NOT NULL
);

CREATE TABLE body (
	id INTEGER PRIMARY KEY,
	blob_id INTEGER NOT NULL,
	head INTEGER NOT NULL,
	content BLOB NOT NULL
);

CREATE TABLE blob (
	id INTEGER PRIMARY KEY,
	refs INTEGER NOT NULL,
	size INTEGER NOT NULL,
	segment INTEGER NOT NULL,
	start INTEGER NOT NULL,
	length INTEGER NOT NULL
);

CREATE INDEX blob_segment ON blob (segment, start);

CREATE TABLE blob_part (
	blob_id INTEGER NOT NULL,
	part INTEGER NOT NULL,
	segment INTEGER NOT NULL,
	start INTEGER NOT NULL,
	length INTEGER NOT NULL,
	PRIMARY KEY (blob_id, part)
) WITHOUT ROWID;

CREATE INDEX blob_part_segment ON blob_part (segment, start);

CREATE TABLE segment (
	id INTEGER PRIMARY KEY,
	live INTEGER NOT NULL
);

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

CREATE TABLE accepted (
	accept_key BLOB PRIMARY KEY,
	filed BLOB NOT NULL
) WITHOUT ROWID;

CREATE TABLE garbage (
	account_id INTEGER NOT NULL,
	mailbox_id INTEGER NOT NULL,
	message_id INTEGER NOT NULL,
	refs INTEGER NOT NULL,
	PRIMARY KEY (account_id, mailbox_id, message_id)
) WITHOUT ROWID;

CREATE TABLE trash_due (
	due INTEGER NOT NULL,
	account_id INTEGER NOT NULL,
	mailbox_id INTEGER NOT NULL,
	first INTEGER NOT NULL,
	last INTEGER NOT NULL,
	PRIMARY KEY (due, account_id, mailbox_id)
) WITHOUT ROWID;

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

INSERT INTO counter VALUES ('account', 1);

INSERT INTO counter VALUES ('blob', 1000);

INSERT INTO counter VALUES ('directory', 3);

INSERT INTO counter VALUES ('mailbox', 8);

INSERT INTO counter VALUES ('message', 1000);

INSERT INTO counter VALUES ('queue.steady', 1795327446143728);

INSERT INTO counter VALUES ('queue.wall', 1795327446143728);

INSERT INTO counter VALUES ('recipient', 1000);

INSERT INTO counter VALUES ('settings', 1);

INSERT INTO domain VALUES ('one.test', 'alice@one.test', '+', 0, 1700000000000001);

INSERT INTO account VALUES (1, 'Älice', '$argon2id$x', 'scram', '', 1, 0, 1073741824, 1000, 1700000000000001, 1);

INSERT INTO address VALUES ('a@one.test', 'a@one.test', 'one.test', 1, 1);

INSERT INTO address VALUES ('alice@one.test', 'Alice@one.test', 'one.test', 1, 0);

INSERT INTO address VALUES ('all@one.test', 'all@one.test', 'one.test', 0, 0);

INSERT INTO alias VALUES ('all@one.test', 'all@one.test', 'one.test', 1, 'All', 1, 1700000000000001);

INSERT INTO alias_target VALUES ('all@one.test', 0, 'alice@one.test', 'alice@one.test');

INSERT INTO alias_target VALUES ('all@one.test', 1, 'far@far.test', 'far@far.test');

INSERT INTO setting VALUES ('server.hostname', 'mx.one.test', 1);

INSERT INTO setting VALUES ('x.secret', 'sealed:v1:x', 1);

INSERT INTO setting_change VALUES (1, 1700000000000001, 'eva', 'why', '[{"Name":"server.hostname","Old":"","New":"mx.one.test","WasUnset":true,"Unset":false},{"Name":"x.secret","Old":"","New":"sealed:v1:x","WasUnset":true,"Unset":false}]', 0, 0);

INSERT INTO account_mail VALUES (1, 17, 1795327453, 70261, 4);

INSERT INTO mailbox VALUES (1, 1, 'INBOX', 1, 1795327446, 5, 17, 2, 0, 0, 35113, 1, 1, 3);

INSERT INTO mailbox VALUES (1, 2, 'Drafts', 2, 1795327447, 1, 2, 0, 0, 0, 0, 1, 2, 0);

INSERT INTO mailbox VALUES (1, 3, 'Sent', 3, 1795327448, 1, 3, 0, 0, 0, 0, 1, 3, 0);

INSERT INTO mailbox VALUES (1, 4, 'Junk', 4, 1795327449, 1, 4, 0, 0, 0, 0, 1, 4, 0);

INSERT INTO mailbox VALUES (1, 5, 'Trash', 5, 1795327450, 2, 16, 1, 0, 0, 109, 1, 5, 0);

INSERT INTO mailbox VALUES (1, 6, 'Archive', 6, 1795327451, 1, 6, 0, 0, 0, 0, 1, 6, 0);

INSERT INTO mailbox VALUES (1, 7, 'Work', 0, 1795327452, 1, 7, 0, 0, 0, 0, 1, 7, 0);

INSERT INTO mailbox VALUES (1, 8, 'Work/Übersicht', 0, 1795327453, 2, 13, 1, 0, 0, 35039, 1, 8, 0);

INSERT INTO keyword VALUES (1, 1, 0, '$Label');

INSERT INTO keyword VALUES (1, 5, 0, '$POP3Deleted');

INSERT INTO keyword VALUES (1, 5, 1, '$Label');

INSERT INTO keyword VALUES (1, 8, 0, '$Label');

INSERT INTO subscription VALUES (1, 'Archive');

INSERT INTO subscription VALUES (1, 'Drafts');

INSERT INTO subscription VALUES (1, 'INBOX');

INSERT INTO subscription VALUES (1, 'Junk');

INSERT INTO subscription VALUES (1, 'Sent');

INSERT INTO subscription VALUES (1, 'Trash');

INSERT INTO subscription VALUES (1, 'Work/Übersicht');

INSERT INTO entry VALUES (1, 1, 1, 14, 261, 74, 1700000000000001, 1795327446137421, 1);

INSERT INTO entry VALUES (1, 1, 2, 10, 257, 35039, 1700003600000001, 1795327446138902, 2);

INSERT INTO entry VALUES (1, 5, 1, 16, 769, 109, 1700007200000001, 1795327446142003, 3);

INSERT INTO entry VALUES (1, 8, 1, 13, 257, 35039, 1700003600000001, 1795327446141071, 2);

INSERT INTO change VALUES (1, 1, 14, 1, 1, 0);

INSERT INTO change VALUES (1, 1, 15, 3, 3, 1);

INSERT INTO change VALUES (1, 1, 17, 4, 4, 1);

INSERT INTO message VALUES (1, 1, 1, 74, X'6D6574612031');

INSERT INTO message VALUES (2, 1, 2, 35039, X'6D6574612032');

INSERT INTO message VALUES (3, 1, 1, 109, X'6D6574612033');

INSERT INTO body VALUES (1, 0, 17, X'52657475726E2D506174683A203C3E0D0A5375626A6563743A2076657273696F6E20310D0A0D0A41206C696E65206F6620746578742074686174206973206E6F742073686F72742E0D0A');

INSERT INTO body VALUES (2, 1, 17, X'52657475726E2D506174683A203C3E0D0A');

INSERT INTO body VALUES (3, 0, 17, X'52657475726E2D506174683A203C3E0D0A5375626A6563743A2076657273696F6E20310D0A0D0A41206C696E65206F6620746578742074686174206973206E6F742073686F72742E0D0A41206C696E65206F6620746578742074686174206973206E6F742073686F72742E0D0A');

INSERT INTO body VALUES (5, 0, 13, X'52656365697665643A20780D0A5375626A6563743A207175657565640D0A0D0A626F64790D0A');

INSERT INTO body VALUES (6, 0, 13, X'52656365697665643A20780D0A5375626A6563743A207175657565640D0A0D0A626F64790D0A');

INSERT INTO blob VALUES (1, 1, 35022, 1, 0, 35022);

INSERT INTO segment VALUES (1, 35022);

INSERT INTO accepted VALUES (X'01A201DACC797000AE1B555495C3EA00', X'01D68B8AD806010901');

INSERT INTO accepted VALUES (X'01A201DACC7A700099CCCCF581C369A3', X'01D68B8AD806020A02');

INSERT INTO accepted VALUES (X'01A201DACC7B7000961FECE78383AC94', X'01D68B8AD806030B03');

INSERT INTO accepted VALUES (X'01A201DACC7C7000AB07A23F2C6161BC', X'01D68B8AD806040C04');

INSERT INTO accepted VALUES (X'01A201DACC7F7000A45CA51A662011CD', X'');

INSERT INTO accepted VALUES (X'01A201DACC817000A843063CE3471456', X'');

INSERT INTO trash_due VALUES (4948927446141970, 1, 5, 1, 1);

INSERT INTO queue VALUES (X'01A201DACC7F7000A45CA51A662011CD', 'Eva@sender.test', 'eva@sender.test', 'sender.test', 0, '192.0.2.1', 5, X'6D657461', 40, 1795327446143111, 1795759446143111, 'HDRS', 'env', 9);

INSERT INTO queue VALUES (X'01A201DACC817000A843063CE3471456', 'Eva@sender.test', 'eva@sender.test', 'sender.test', 0, '192.0.2.1', 6, X'6D657461', 40, 1795327446145586, 1795759446145586, 'HDRS', 'env', 9);

INSERT INTO queue_recipient VALUES (1, X'01A201DACC7F7000A45CA51A662011CD', 'bob@far.test', 'bob@far.test', 'far.test', 'rfc822;bob@far.test', 4, 0, 0, 1, 1795331046144394, 1795331046144394, 1, '450 4.2.0 busy', '', 0);

INSERT INTO queue_recipient VALUES (2, X'01A201DACC7F7000A45CA51A662011CD', 'Eve@far.test', 'eve@far.test', 'far.test', 'rfc822;Eve@far.test', 4, 0, 0, 1, 1795331046144394, 1795331046144394, 1, '450 4.2.0 busy', '', 0);

INSERT INTO queue_recipient VALUES (4, X'01A201DACC817000A843063CE3471456', 'alice@one.test', 'alice@one.test', 'one.test', 'rfc822;alice@one.test', 4, 1, 1, 0, 1795327446145657, 1795327446145657, 0, '', '', 0);

PRAGMA user_version=1;
