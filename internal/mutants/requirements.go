package mutants

// Requirements names for every requirement that is fulfilled so far the tests
// that show it.
var Requirements = map[string][]Test{
	"M-GEN-01":   {transcript("auth"), transcript("relaying"), {smtpd, "TestTranscripts/relay"}},
	"M-GEN-02":   {transcript("auth"), transcript("relaying"), {checks, "TestWorldIsNeverTrusted"}},
	"M-GEN-03":   {transcript("sender")},
	"M-GEN-04":   {transcript("sender")},
	"M-GEN-08":   {{smtpd, "TestTranscripts/mail"}},
	"M-GEN-09":   {transcript("recipients")},
	"M-GEN-10":   {transcript("hops"), {smtpd, "TestTranscripts/data"}},
	"M-GEN-11":   {transcript("size"), {smtpd, "TestTranscripts/data"}, {smtpd, "TestTranscripts/bdat"}},
	"B1G-GEN-01": {{smtpd, "TestTranscripts/mail"}},
	"B1G-GEN-03": {transcript("size"), {smtpd, "TestTranscripts/data"}},
	"M-REL-01":   {transcript("relaying"), {smtpd, "TestTranscripts/relay"}},
	"SYS-DOM-02": {transcript("sender")},
	"ORD-01":     {{pipeline, "TestFirstRejectWinsAndEndsTheStage"}, {pipeline, "TestLaterRejectWinsOverRememberedDefer"}, {checks, "TestTableIsInTheOrderOfASessionAndComplete"}},
	"ORD-02":     {{pipeline, "TestRefusalBeforeRcptIsHeldUntilRcpt"}, {pipeline, "TestRefusalAtOnceIsNotHeld"}, transcript("sender")},
	"ORD-03":     {transcript("recipient"), transcript("quota")},
	"ORD-04":     {{pipeline, "TestPostmasterIsAlwaysReachable"}, {pipeline, "TestContentForPostmasterAloneIsExempt"}, transcript("recipient")},
	"PROF-01":    {{checks, "TestEveryProfileIsValid"}},
	// Rows of reliability.md.
	"reliability-37": {transcript("room")},
}
