-- Version 10: lists of the queue by sender, and of the few recipients on hold.
CREATE INDEX queue_sender ON queue (sender_domain, id, sender_key);
CREATE INDEX queue_recipient_held ON queue_recipient (queue_id) WHERE state = 1;
