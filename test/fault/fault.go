// Package fault breaks a running server for real: it kills it, cuts its power,
// fills its disk, fails its syncs, starves and floods it, and then looks into
// the mailboxes (reliability.md). There is nothing in it but tests.
package fault
