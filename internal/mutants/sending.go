package mutants

// Folders of what sends mail.
const (
	remote = "internal/flow/remote"
	routes = "internal/flow/route"
	bounce = "internal/flow/bounce"
	queue  = "internal/flow/queue"
	names  = "internal/base/dns"
	manage = "internal/server/manage"
)

func send(name, file, fn, old, new, test string) Mutation {
	return Mutation{Name: name, File: remote + "/" + file, Func: fn, Old: old, New: new, Killer: Test{remote, test}}
}

// Sending are mutations of the way to other servers and of what senders are told.
var Sending = []Mutation{
	send("a null MX is sent to", "hosts.go", "attempt.exchangers", "len(hosts) == 0", "false", "TestWhatDNSSaysDecides"),
	send("no such domain waits", "hosts.go", "attempt.exchangers", "errors.Is(err, dns.ErrNoName)", "false", "TestWhatDNSSaysDecides"),
	send("a domain without MX gets nothing", "hosts.go", "attempt.exchangers", "errors.Is(err, dns.ErrNotFound)", "false", "TestWhatDNSSaysDecides"),
	send("preferences are turned round", "hosts.go", "attempt.exchangers", "cmp.Compare(x.Preference, y.Preference)", "cmp.Compare(y.Preference, x.Preference)", "TestHostsAreTriedInTheOrderOfTheirPreference"),
	send("a loop is sent to", "hosts.go", "attempt.group", "a.d.o.Port == smtpPort && a.own(ip)", "false", "TestWhatDNSSaysDecides"),
	send("a failing look-up of a host is final", "hosts.go", "attempt.group", `passing(reply.E(4, 4, 3), "DNS`, `final(550, reply.E(4, 4, 3), "DNS`, "TestWhatDNSSaysDecides"),
	send("a relay that demands TLS gets clear text", "security.go", "demand", "r.Secure || ", "", "TestARelayThatMustBeSecureIs"),
	send("a relay's certificate is not looked at", "security.go", "demand", "r.Secure && !r.AnyCertificate", "false", "TestARelayThatMustBeSecureIs"),
	send("REQUIRETLS goes out without", "security.go", "demand", "requirement{tls: requireTLS, requireTLS: requireTLS}", "requirement{}", "TestRequireTLSIsKeptToTheEnd"),
	send("passwords go out in clear text", "connect.go", "attempt.login", "a.job.To.Relay.ClearLogin || c.proven(a.job.To.Relay)", "true", "TestARelaysFaultIsNeverTheMessages"),
	send("a refused login bounces mail", "connect.go", "attempt.login", `temporary(kept(r.Reply, "AUTH"), "the relay does not accept our login")`, `&problem{reply: kept(r.Reply, "AUTH")}`, "TestARelaysFaultIsNeverTheMessages"),
	send("TLS is never begun", "connect.go", "attempt.introduce", "withTLS && !c.key.need.implicit", "false", "TestTLSIsUsedWhereItIsOffered"),
	send("dead connections are believed", "connect.go", "connection.alive", "time.Since(c.kept) < trusted", "true", "TestAConnectionIsUsedAgain"),
	{
		Name: "the relay is not used", File: routes + "/table.go", Func: "NewTable", Old: "s.Mode == modeRelay", New: "false",
		Killer: Test{routes, "TestTheGeneralModeDecidesWithoutRules"},
	},
	{
		Name: "NOTIFY is not asked", File: bounce + "/who.go", Func: "wanted", Old: " && notify&asks[r.Action] != 0", New: "",
		Killer: Test{bounce, "TestNotifyDecidesWhatIsTold"},
	},
	{
		Name: "a notice about a notice", File: bounce + "/who.go", Func: "Bouncer.addressee", Old: "isReport(m)", New: "false",
		Killer: Test{bounce, "TestNobodyIsToldAboutReports"},
	},
	{
		Name: "mail is tried for ever", File: queue + "/settings.go", Func: "Settings.next", Old: "m.Expires.Sub(now) < lastCall", New: "false",
		Killer: Test{queue, "TestTheLastAttemptIsMadeWhenTheTimeIsUp"},
	},
	{
		Name: "a delay is told again and again", File: queue + "/settings.go", Func: "Settings.late", Old: "r.Notified || ", New: "",
		Killer: Test{queue, "TestTheSenderIsToldOfADelayOnce"},
	},
	{
		Name: "an outage of DNS is an absence", File: names + "/dns.go", Func: "notFound.Is", Old: "target == ErrNotFound", New: "true",
		Killer: Test{names, "TestAbsenceIsToldFromFailure"},
	},
	{
		Name: "a paused queue sends", File: queue + "/queue.go", Func: "Runner.paused", Old: "!r.o.Local && r.o.Settings().Paused", New: "false",
		Killer: Test{queue, "TestAPausedQueueKeepsMailAndGoesOn"},
	},
}
