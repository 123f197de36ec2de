package mutants

// Sessions are mutations of what the SMTP session itself counts and obeys.
var Sessions = []Mutation{
	session("errors are not counted", "penalty.go", "penalty.weigh", "p.errors++", "", "TestTranscripts/errors"),
	session("errors cost no time", "penalty.go", "penalty.weigh", "cost = e.Delay", "cost = 0", "TestTranscripts/errors"),
	session("the soft limit comes early", "penalty.go", "penalty.weigh", "p.errors > e.SoftLimit", "p.errors >= e.SoftLimit", "TestTranscripts/errors"),
	session("the soft limit is nothing", "penalty.go", "penalty.weigh", "|| p.errors > e.SoftLimit", "", "TestTranscripts/errors"),
	session("the hard limit comes early", "penalty.go", "penalty.weigh", "p.errors > e.HardLimit", "p.errors >= e.HardLimit", "TestTranscripts/errors"),
	session("the hard limit is nothing", "penalty.go", "penalty.weigh", "p.errors > e.HardLimit", "false", "TestTranscripts/errors"),
	session("temporary failures are errors", "penalty.go", "penalty.weigh", `e.Count == "all" && r.Temporary()`, "r.Temporary()", "TestTranscripts/errors"),
	session("temporary failures are never errors", "penalty.go", "penalty.weigh", `e.Count == "all" && r.Temporary()`, "false", "TestTranscripts/errors"),
	session("recipients above the limit are errors", "penalty.go", "penalty.weigh", "wrong = false", "", "TestTranscripts/errors"),
	session("junk is not counted", "penalty.go", "penalty.countJunk", "p.junk++", "", "TestTranscripts/errors"),
	session("junk costs no time", "penalty.go", "penalty.countJunk", "p.junk%junkGroup == 0", "false", "TestTranscripts/errors"),
	session("too much junk is no error", "penalty.go", "penalty.countJunk", "return 0, wrong || p.junk > limit", "return 0, wrong", "TestTranscripts/errors"),
	session("an accepted message forgets no junk", "penalty.go", "penalty.delivered", "p.junk = 0", "", "TestTranscripts/errors"),
	session("waiting sessions are not bounded", "loop.go", "connection.enterDelay", "<= int64(c.settings.DelayedSessions)", "< 1<<40", "TestTranscripts/errors"),
	{
		Name: "EHLO forgets errors", File: smtpd + "/ehlo.go", Func: "session.introduce", Insert: "s.c.penalty = penalty{}",
		Killer: Test{smtpd, "TestTranscripts/errors"},
	},
	{
		Name: "STARTTLS forgets errors", File: smtpd + "/starttls.go", Func: "connection.upgrade", Insert: "c.penalty = penalty{}",
		Killer: Test{smtpd, "TestTranscripts/errors"},
	},
	{
		Name: "RSET forgets errors", File: smtpd + "/rset.go", Func: "session.rset", Insert: "s.c.penalty = penalty{}",
		Killer: Test{smtpd, "TestTranscripts/errors"},
	},
	session("failed logins cost no time", "auth.go", "session.authFailed", "s.c.hold = cost", "_ = cost", "TestTranscripts/auth"),
	session("failed logins never end the connection", "auth.go", "session.authFailed", "if last {", "if last && false {", "TestTranscripts/auth"),
	session("AUTH is offered in clear text", "ehlo.go", "session.authOffer", "!o.TLS && !o.PlaintextWithoutTLS", "false", "TestTranscripts/auth"),
	session("AUTH is offered when it is off", "ehlo.go", "session.authOffer", "!limits.Auth || ", "", "TestTranscripts/auth"),
	session("AUTH inside a transaction is taken", "auth.go", "session.auth", "case s.tx != nil:", "case false:", "TestTranscripts/auth"),
	session("a second AUTH is taken", "auth.go", "session.auth", "case s.facts.Login != nil:", "case false:", "TestTranscripts/auth"),
	session("the largest message is refused while it comes in", "content.go", "content.Write", "b.size > b.limit", "b.size >= b.limit", "TestTranscripts/data"),
	session("a message without end is read to its end", "content.go", "content.Write", "b.size > b.most", "false", "TestTranscripts/data"),
	session("commands behind STARTTLS are obeyed", "starttls.go", "session.starttls", "c.in.Buffered() > 0", "false", "TestTranscripts/starttls"),
	session("slow content is borne", "meter.go", "meter.note", ">= int64(m.waited/time.Second)*slowest", ">= 0", "TestTranscripts/timeouts"),
}
