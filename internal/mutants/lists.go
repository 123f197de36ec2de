package mutants

// Lists are mutations of the allow and block lists and of the skip table.
var Lists = []Mutation{
	lift("block wins over allow", "pipeline.go", "ledger.lifts", "l.rulesOf.lifted(ctx, e.Stage, e.Test, f)", "l.rulesOf.lifted(ctx, e.Stage, e.Test&^TestBlock, f)", "lists"),
	lift("block rules lift tests", "allow.go", "matches.lifted", "!r.Block && Skips", "Skips", "lists"),
	lift("allow rules block", "recall.go", "Facts.block", "r.Block && ", "", "lists"),
	lift("block rules never end", "recall.go", "Facts.block", "r.Live(f.Time)", "true", "lists"),
	lift("allow rules never end", "allow.go", "counts", "r.Live(f.Time)", "true", "lists"),
	lift("nobody need be authenticated", "allow.go", "counts", "!r.Authenticated || ", "true || ", "skiptable"),
	lift("SPF of HELO authenticates the sender", "learn.go", "Facts.SenderAuthenticated", ` && s.Identity == "mailfrom"`, "", "lists"),
	lift("a broken signature authenticates the sender", "learn.go", "Facts.SenderAuthenticated", `s.Result == "pass" && within`, "within", "lists"),
	lift("any signature authenticates the sender", "learn.go", "Facts.SenderAuthenticated", " && within(f.Sender.Domain, s.Domain)", "", "lists"),
	lift("a suffix is a domain", "learn.go", "within", `"."+of`, "of", "lists"),
	lift("From is not looked at", "allow.go", "matches.find", "case Content:", "case 99:", "lists"),
	lift("every rule looks at From", "allow.go", "matches.find", "r.FromField && ", "", "lists"),
	lift("rules by client are nothing", "allow.go", "matches.find", "client: f.Access.Client(f.Client.Unmap())", "", "lists"),
	lift("one recipient's rule counts for all", "allow.go", "matches.take", "tests &= m.shared", "tests |= m.shared", "skiptable"),
	lift("a recipient's rule outlives the message", "allow.go", "matches.find", "m.shared, m.because, m.counted = 0, nil, false", "", "skiptable"),
	lift("recipients' rules do not count for the message", "allow.go", "matches.lifted", "stage > Rcpt && ", "false && ", "skiptable"),
	lift("a rule counts for each test", "pipeline.go", "ledger.hit", " && !slices.Contains(l.hits, rule)", " && (true || slices.Contains(l.hits, rule))", "lists"),
	lift("costly checks are asked in vain", "pipeline.go", "Pipeline.Judge", "e.Costly {", "false {", "skiptable"),
	swap("the envelope's rules are judged again", "blocked.go", "blockedAuthor", "f.BlockAuthor()", "f.Block(access.Sender)", "lists"),
	swap("discarding refuses", "blocked.go", "block", "if r.Discard {", "if false {", "lists"),
	skips("IP rules do not skip the virus scan", "IP:\n\t\treturn TestDNSBL | TestSPF | TestVirus", "IP:\n\t\treturn TestDNSBL | TestSPF"),
	skips("IP rules do not skip SPF", "IP:\n\t\treturn TestDNSBL | TestSPF | TestVirus", "IP:\n\t\treturn TestDNSBL | TestVirus"),
	skips("masks skip the virus scan", "Network:\n\t\treturn TestDNSBL", "Network:\n\t\treturn TestVirus | TestDNSBL"),
	skips("masks do not skip DNS lists", "Network:\n\t\treturn TestDNSBL |", "Network:\n\t\treturn"),
	skips("senders and recipients skip DMARC", "Recipient:\n\t\treturn TestSPF", "Recipient:\n\t\treturn TestDMARC | TestSPF"),
	skips("senders and recipients skip DNS lists", "Recipient:\n\t\treturn TestSPF", "Recipient:\n\t\treturn TestDNSBL | TestSPF"),
	skips("senders and recipients do not skip SPF", "Recipient:\n\t\treturn TestSPF |", "Recipient:\n\t\treturn"),
	skips("domains skip DNS lists", "Domain:\n\t\treturn TestSPF", "Domain:\n\t\treturn TestDNSBL | TestSPF"),
	skips("domains do not skip DKIM", "Domain:\n\t\treturn TestSPF | TestVirus | TestDKIM", "Domain:\n\t\treturn TestSPF | TestVirus"),
}

// lift is a mutation of the pipeline that a transcript of the checks shows.
func lift(name, file, fn, old, new, transcriptName string) Mutation {
	return Mutation{Name: name, File: pipeline + "/" + file, Func: fn, Old: old, New: new, Killer: transcript(transcriptName)}
}

// skips is a mutation of the skip table.
func skips(name, old, new string) Mutation {
	return Mutation{Name: name, File: pipeline + "/allow.go", Func: "Skips", Old: old, New: new, Killer: transcript("skiptable")}
}
