package e2e

import (
	"fmt"
	"strings"
)

// useMsmtp sends letters with every mechanism msmtp has in common with the
// server, and is refused what has to be refused.
func useMsmtp(p *post) {
	config := func(ca, password string) string {
		return p.file("msmtprc", fmt.Sprintf(`account default
host localhost
port %s
tls %s
tls_starttls %s
tls_trust_file %s
domain client.example
from %s
user %s
password "%s"
set_from_header off
set_date_header off
set_msgid_header off
`, p.port(p.smtpAt), p.one("on", "on", "off"), p.one("off", "on", "off"), ca, p.me, p.me, password))
	}
	rc := config(p.home+"/ca.pem", password)
	sent := letters(p.me, p.friend)
	for i, l := range sent {
		mechanism := []string{"plain", "login", "scram-sha-256"}[i%3]
		p.run(unix(l.content), "msmtp", "--file", rc, "--auth="+mechanism, p.friend)
	}
	p.received(p.friend, "INBOX", sent)

	// Recipients of the fields, one of whom nobody knows: nothing is sent.
	r := p.end(p.command("msmtp", "--file", rc, "--auth=plain", "-t"), fmt.Appendf(nil, "From: <%s>\nTo: <%s>, <nobody@example.test>\n\nx\n", p.me, p.friend))
	if r.code != 65 || !strings.Contains(r.err, "550 5.1.1") {
		p.t.Errorf("an unknown recipient: exit %d\n%s", r.code, r.err)
	}
	r = p.end(p.command("msmtp", "--file", config(p.home+"/ca.pem", "wrong"), "--auth=plain", p.friend), []byte("x: y\n\nx\n"))
	if r.code == 0 || !strings.Contains(r.err, "535 5.7.8") {
		p.t.Errorf("a wrong password: exit %d\n%s", r.code, r.err)
	}
	p.distrusts("certificate", func() result {
		return p.end(p.command("msmtp", "--file", config(p.home+"/ca.pem", password), "--auth=plain", p.friend), []byte("x: y\n\nx\n"))
	})
	p.received(p.friend, "INBOX", sent)
}
