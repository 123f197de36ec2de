-- Version 8: the counter uid_validity has the last UIDVALIDITY any mailbox was
-- given, whosever it was; account_mail goes on to have the account's last.
INSERT INTO counter (name, value) SELECT 'uid_validity', COALESCE(MAX(uid_validity), 0) FROM account_mail;
