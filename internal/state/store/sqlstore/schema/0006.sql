-- Version 6: queued mail that is junk, or in quarantine, and why. The bit 16 of
-- bits asks the filter of each account. A recipient in quarantine has the state 2.
ALTER TABLE queue ADD COLUMN junk TEXT NOT NULL DEFAULT '';
ALTER TABLE queue ADD COLUMN quarantine TEXT NOT NULL DEFAULT '';
CREATE INDEX queue_recipient_quarantine ON queue_recipient (queue_id) WHERE state = 2;
