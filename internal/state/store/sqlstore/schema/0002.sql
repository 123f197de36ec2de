-- What a recipient's last attempt was like, for administrators and for the
-- notice of a delay: notified once it was sent, last_try in queue time, route the
-- destination's key. asked: an administrator wants it tried now.
ALTER TABLE queue_recipient ADD COLUMN notified INTEGER NOT NULL DEFAULT 0;
ALTER TABLE queue_recipient ADD COLUMN asked INTEGER NOT NULL DEFAULT 0;
ALTER TABLE queue_recipient ADD COLUMN last_try INTEGER NOT NULL DEFAULT 0;
ALTER TABLE queue_recipient ADD COLUMN last_host TEXT NOT NULL DEFAULT '';
ALTER TABLE queue_recipient ADD COLUMN route TEXT NOT NULL DEFAULT '';
