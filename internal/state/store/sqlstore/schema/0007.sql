-- Version 7: bounds are kept by counting along. The counters ban.failures,
-- ban.day and ban.manual say how many bans of a kind there are, dmarc_report_row
-- how many rows reports have together.
INSERT INTO counter (name, value) SELECT 'ban.failures', COUNT(*) FROM ban WHERE kind = 0;
INSERT INTO counter (name, value) SELECT 'ban.day', COUNT(*) FROM ban WHERE kind = 1;
INSERT INTO counter (name, value) SELECT 'ban.manual', COUNT(*) FROM ban WHERE kind = 2;
INSERT INTO counter (name, value) SELECT 'dmarc_report_row', COUNT(*) FROM dmarc_report_row;

-- How many combinations dmarc_seen has of a day.
CREATE TABLE dmarc_day (
	day INTEGER PRIMARY KEY,
	combinations INTEGER NOT NULL
);
INSERT INTO dmarc_day (day, combinations) SELECT day, COUNT(*) FROM dmarc_seen GROUP BY day;

-- Reports that are gone, but for their rows.
CREATE TABLE dmarc_gone (
	report INTEGER PRIMARY KEY
);
