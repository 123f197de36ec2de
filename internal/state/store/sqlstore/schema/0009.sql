-- Version 9: how many octets a body, and a message, grows by once every line of
-- it ends in CRLF (blob.Uneven). Of what was stored before nobody counted.
ALTER TABLE blob ADD COLUMN uneven INTEGER NOT NULL DEFAULT 0;
ALTER TABLE message ADD COLUMN uneven INTEGER NOT NULL DEFAULT 0;
CREATE INDEX message_uneven ON message (account_id, id, uneven) WHERE uneven > 0;
