package mutants

import "strings"

// Folders of the mutated packages.
const (
	checks   = "internal/policy/check"
	pipeline = "internal/policy"
	smtpd    = "internal/server/smtpd"
)

// pass switches a check off.
const pass = `if f != nil { return policy.Passed("mutant") }`

// transcript is a transcript of the checks.
func transcript(name string) Test { return Test{checks, "TestTranscripts/" + name} }

// off is the mutation that switches the check in one function off.
func off(check, file, fn, transcriptName string) Mutation {
	return Mutation{Name: check + " is off", File: checks + "/" + file, Func: fn, Insert: pass, Killer: transcript(transcriptName)}
}

// unlist switches the row of a check off, where several rows have one function.
func unlist(check, row, transcriptName string) Mutation {
	return Mutation{
		Name: check + " is off", File: checks + "/table.go", Func: "Table",
		Old: row, New: strings.ReplaceAll(row, "Mode: s.Names.Pipelining, ", "") + "Mode: policy.Off, ", Killer: transcript(transcriptName),
	}
}

// offFunc switches off a check whose function makes another.
func offFunc(check, file, fn, param, transcriptName string) Mutation {
	m := off(check, file, fn, transcriptName)
	m.Insert = "if " + param + ` != nil { return func(context.Context, *policy.Facts) policy.Verdict { return policy.Passed("mutant") } }`
	return m
}

// swap is a mutation of one expression of a check.
func swap(name, file, fn, old, new, transcriptName string) Mutation {
	return Mutation{Name: name, File: checks + "/" + file, Func: fn, Old: old, New: new, Killer: transcript(transcriptName)}
}

// judge is a mutation of the pipeline.
func judge(name, file, fn, old, new, test string) Mutation {
	return Mutation{Name: name, File: pipeline + "/" + file, Func: fn, Old: old, New: new, Killer: Test{pipeline, test}}
}

// session is a mutation of the SMTP session.
func session(name, file, fn, old, new, test string) Mutation {
	return Mutation{Name: name, File: smtpd + "/" + file, Func: fn, Old: old, New: new, Killer: Test{smtpd, test}}
}

// Checks has one mutation for each check of the table, under its name.
var Checks = map[string]Mutation{
	"class-reject":      unlist("class-reject", `Name: "class-reject", `, "classes"),
	"banned-by-hand":    off("banned-by-hand", "door.go", "bannedByHand", "bans"),
	"banned":            off("banned", "door.go", "banned", "bans"),
	"connection-rate":   off("connection-rate", "rate.go", "Rate.atConnect", "rates"),
	"listed-reject":     unlist("listed-reject", `Name: "listed-reject", `, "classes"),
	"greeting":          off("greeting", "door.go", "Door.greeting", "door"),
	"reverse-name":      off("reverse-name", "names.go", "Names.reverse", "names"),
	"dial-up":           off("dial-up", "door.go", "Auth.dialUp", "classes"),
	"helo-match":        off("helo-match", "names.go", "Names.heloMatch", "names"),
	"message-rate":      off("message-rate", "rate.go", "Rate.atMail", "rates"),
	"sender-full":       offFunc("sender-full", "origin.go", "Origin.full", "n", "origin"),
	"blocked-client":    off("blocked-client", "blocked.go", "blockedClient", "lists"),
	"blocked-sender":    off("blocked-sender", "blocked.go", "blockedSender", "lists"),
	"blocked-recipient": off("blocked-recipient", "blocked.go", "blockedRecipient", "lists"),
	"blocked-author":    off("blocked-author", "blocked.go", "blockedAuthor", "lists"),
	"sender-known":      off("sender-known", "origin.go", "Origin.known", "origin"),
	"client-name":       off("client-name", "names.go", "Names.client", "names"),
	"helo-full":         off("helo-full", "names.go", "Names.heloFull", "names"),
	"helo-known":        off("helo-known", "names.go", "Names.heloKnown", "names"),
	"pipelining":        unlist("pipelining", `Name: "pipelining", Setting: "policy.names.pipelining", Worst: policy.Drop, Exempt: policies, Mode: s.Names.Pipelining, `, "names"),
	"pipelining-data":   unlist("pipelining-data", `Name: "pipelining-data", Setting: "policy.names.pipelining", Worst: policy.Drop, Exempt: policies, Mode: s.Names.Pipelining, `, "names"),
	"blocklists":        off("blocklists", "blocklist.go", "Blocklists.check", "blocklists"),
	"spf":               off("spf", "spf.go", "SPF.check", "spf"),
	"greylist":          offFunc("greylist", "greylist.go", "Greylist.check", "b", "greylist"),
	"authentication":    offFunc("authentication", "authentic.go", "Authentic.results", "s", "spf"),
	"dkim":              off("dkim", "authentic.go", "Authentic.signatures", "dkim"),
	"dmarc":             off("dmarc", "authentic.go", "Authentic.dmarc", "dmarc"),
	"junk-filter": {
		Name: "junk-filter is off", File: checks + "/junk.go", Func: "Junk.check", Insert: pass,
		Killer: Test{checks, "TestJunkFilterFilesAndNeverRefuses"},
	},
	"auto-forwarded": {
		Name: "auto-forwarded is off", File: checks + "/forwarded.go", Func: "Forwarded.check", Insert: pass,
		Killer: Test{checks, "TestMailForwardedByAProgramIsKnownByItsMarks"},
	},
	"login-required":       off("login-required", "auth.go", "Auth.Check", "auth"),
	"size-declared":        off("size-declared", "size.go", "Size.atMail", "size"),
	"disk-room":            off("disk-room", "room.go", "Room.Check", "room"),
	"sender-owned":         off("sender-owned", "sender.go", "Sender.owned", "sender"),
	"own-address":          off("own-address", "sender.go", "Sender.unauthenticated", "sender"),
	"relaying":             off("relaying", "relaying.go", "relaying", "relaying"),
	"recipient-exists":     off("recipient-exists", "recipient.go", "recipientExists", "recipient"),
	"recipient-limit":      off("recipient-limit", "count.go", "Recipients.atRcpt", "recipients"),
	"quota":                off("quota", "quota.go", "Quota.Check", "quota"),
	"recipient-limit-data": off("recipient-limit-data", "count.go", "Recipients.atData", "recipients"),
	"size":                 off("size", "size.go", "Size.atContent", "size"),
	"hops":                 off("hops", "hops.go", "Hops.Check", "hops"),
	"author-owned":         off("author-owned", "sender.go", "Sender.author", "sender"),
	"attachments":          blind("attachments", "attachment.go", "Attachments.check", "TestForbiddenAttachmentsAreRefused"),
	"virus":                blind("virus", "virus.go", "Virus.check", "TestVirusesAreRefused"),
	"spam":                 {Name: "spam is off", File: checks + "/spam.go", Func: "Spam.check", Insert: "all, s = nil, &Spam{}", Killer: Test{checks, "TestSpamIsRefusedFiledOrMarked"}},
	"milter-mail":          deaf("milter-mail", "classes"),
	"milter-rcpt":          deaf("milter-rcpt", "policies"),
	"milter-data":          deaf("milter-data", "policies"),
	"milter-content":       deaf("milter-content", "policies"),
}

// Details are mutations of limits, switches and order.
var Details = []Mutation{
	swap("the largest declared size is refused", "size.go", "Size.atMail", "f.DeclaredSize <= limit", "f.DeclaredSize < limit", "size"),
	swap("the largest size is refused", "size.go", "Size.atContent", "f.Size <= limit", "f.Size < limit", "size"),
	swap("the cap does not count", "size.go", "Size.limit", "smaller(own, s.Cap)", "own", "size"),
	swap("full trust keeps the direction's limit", "size.go", "Size.limit", "trust == policy.TrustedClass", "false", "size"),
	swap("directions are exchanged", "size.go", "Size.limit", "if outbound {", "if !outbound {", "size"),
	swap("one hop too few", "hops.go", "Hops.Check", "f.Hops > limit", "f.Hops >= limit", "hops"),
	swap("one hop too many", "hops.go", "Hops.Check", "f.Hops > limit", "f.Hops > limit+1", "hops"),
	swap("hops have one direction", "hops.go", "Hops.Check", "if f.Outbound() {", "if false {", "hops"),
	swap("Delivered-To is not looked at", "hops.go", "Hops.Check", "f.SentOn); ok {", "f.SentOn); ok && false {", "hops"),
	swap("one recipient too many", "count.go", "Recipients.atRcpt", "f.Accepted < limit", "f.Accepted <= limit", "recipients"),
	swap("one recipient too few", "count.go", "Recipients.atRcpt", "f.Accepted < limit", "f.Accepted+1 < limit", "recipients"),
	swap("users are asked to send the rest", "count.go", "Recipients.whole", "f.Kind == policy.Submission ||", "", "recipients"),
	swap("inbound excess cannot be refused", "count.go", "Recipients.whole", `r.Excess == "refuse"`, "false", "recipients"),
	swap("a mailbox is full one octet early", "quota.go", "Quota.Check", "size > u.LimitBytes-u.Bytes", "size >= u.LimitBytes-u.Bytes", "quota"),
	swap("the number of messages does not count", "quota.go", "Quota.Check", "u.Messages >= u.LimitMessages", "false", "quota"),
	swap("a full mailbox is never permanent", "quota.go", "Quota.full", "if q.Permanent {", "if false {", "quota"),
	swap("the last octets cannot be used", "room.go", "Room.Check", ">= int64(f.DeclaredSize)", "> int64(f.DeclaredSize)", "room"),
	swap("a read-only store takes mail", "room.go", "Room.Check", "f.Room.ReadOnly != nil", "false", "room"),
	swap("everywhere does not count", "auth.go", "Auth.Check", "case a.Everywhere:", "case false:", "auth"),
	swap("trusted clients must log in", "auth.go", "Auth.Check", "f.Kind == policy.Trusted", "false", "auth"),
	swap("local networks are trusted unasked", "trust.go", "Trust.of", "t.Local &&", "", "relaying"),
	swap("the trusted list is not looked at", "trust.go", "Trust.of", "c.Network.Contains(client)", "c.Network.Contains(client) && false", "relaying"),
	swap("the trusted list need not log in to submit", "class.go", "become", "&& !submission", "", "auth"),
	swap("routed local parts pass", "relaying.go", "relaying", "routed(f.Recipient.Local)", "false", "relaying"),
	swap("disabled accounts take mail", "recipient.go", "recipientExists", "case directory.Disabled:", "case 99:", "recipient"),
	swap("disabled domains take mail", "recipient.go", "recipientExists", "case directory.DomainDisabled:", "case 99:", "recipient"),
	swap("users cannot send the null sender", "sender.go", "Sender.owned", "case f.Sender.IsNull():", "case false:", "sender"),
	swap("M-GEN-04 does not count", "sender.go", "Sender.skipped", "&& s.SkipTrusted", "&& false", "sender"),
	swap("M-GEN-04 is always on", "sender.go", "Sender.skipped", "&& s.SkipTrusted", "", "sender"),
	swap("local networks are asked for ownership", "sender.go", "Sender.skipped", "f.Trust == policy.LocalNetwork", "false", "sender"),
	swap("outsiders are always refused our addresses", "sender.go", "Sender.unauthenticated", "&& s.OwnOutside", "", "sender"),
	swap("M-GEN-03 cannot be switched off", "sender.go", "Sender.owned", "case !s.Owned:", "case false:", "sender"),
	swap("a broken From passes", "sender.go", "Sender.author", "if f.FromBroken {", "if false {", "sender"),
	{
		Name: "public networks of the machine are local", File: checks + "/trust.go", Func: "Trust.Networks", Old: "|| Private(p)", New: "|| true",
		Killer: Test{checks, "TestLocalNetworksAreThoseOfTheMachineAndThoseAdded"},
	},
	{
		Name: "the world may be trusted", File: checks + "/trust.go", Func: "Trust.Validate", Insert: "if t != nil { return nil }",
		Killer: Test{checks, "TestWorldIsNeverTrusted"},
	},

	judge("a later reject does not win", "pipeline.go", "Pipeline.Judge", "d.Action < Reject", "d.Action < Defer", "TestLaterRejectWinsOverRememberedDefer"),
	judge("the last reject wins", "decision.go", "Decision.take", "r.Action > d.Action", "r.Action >= d.Action", "TestLaterRejectWinsOverRememberedDefer"),
	judge("observed verdicts count", "pipeline.go", "Pipeline.Judge", "e.Mode == Enforce", "e.Mode != Off", "TestObservedVerdictIsRecordedAndHasNoEffect"),
	judge("off is not off", "entry.go", "Entry.because", "e.Mode == Off", "false", "TestCheckSwitchedOffIsNotAsked"),
	judge("nothing is held until RCPT", "pipeline.go", "ledger.weigh", "stage <= Mail && !r.Entry.AtOnce", "false", "TestRefusalBeforeRcptIsHeldUntilRcpt"),
	judge("everything is held until RCPT", "pipeline.go", "ledger.weigh", "&& !r.Entry.AtOnce", "", "TestRefusalAtOnceIsNotHeld"),
	judge("what is held is forgotten", "pipeline.go", "ledger.release", "h.Action > d.Action", "false", "TestRefusalBeforeRcptIsHeldUntilRcpt"),
	judge("what is held stays for ever", "pipeline.go", "ledger.begin", "l.held[s] = Decision{}", "", "TestRefusalBeforeRcptIsHeldUntilRcpt"),
	judge("held refusals reach postmaster", "pipeline.go", "Pipeline.Judge", "&& applies&ToPostmaster == 0", "", "TestPostmasterIsAlwaysReachable"),
	judge("postmaster is not exempt", "entry.go", "applying", "stage == Rcpt && f.ForPostmaster()", "false", "TestPostmasterIsAlwaysReachable"),
	judge("everybody's postmaster is ours", "facts.go", "Facts.ForPostmaster", "f.Resolution.Hosted()", "true", "TestPostmasterIsAlwaysReachable"),
	judge("one postmaster exempts the message", "entry.go", "applying", "f.Postmasters == len(f.Recipients)", "true", "TestContentForPostmasterAloneIsExempt"),
	judge("every check can be lifted", "pipeline.go", "ledger.lifts", "if e.Test == 0 {", "if e.Test = max(e.Test, 1); false {", "TestAllowRuleDoesNotLiftAnUnnamedCheck"),
	judge("allow rules lift nothing", "pipeline.go", "Pipeline.Judge", "rule != nil", "rule != nil && false", "TestAllowRuleDoesNotLiftAnUnnamedCheck"),
	judge("exemptions are nothing", "entry.go", "Entry.because", "hit != 0", "hit != 0 && false", "TestExemptionsAreHonouredAndRecorded"),
	judge("rules change under a session", "pipeline.go", "Pipeline.Judge", "stage == Connect || stage == Helo || f.ledger.rules == nil", "true", "TestSessionKeepsTheRulesItWasGreetedWith"),
	judge("delays do not add up", "pipeline.go", "Pipeline.Judge", "d.Delay+r.Delay", "r.Delay", "TestDelaysAddUpToABound"),
}
