package e2e

import (
	"os/exec"
	"strings"
	"testing"

	"posthorn/internal/testkit/daemon"
)

// needSwaksTLS is what swaks encrypts with.
func needSwaksTLS(t *testing.T) {
	t.Helper()
	if exec.Command("perl", "-MNet::SSLeay", "-e1").Run() != nil {
		missing(t, "libnet-ssleay-perl")
	}
}

func TestSwaksSubmits(t *testing.T) {
	t.Parallel()
	swaks := need(t, "swaks")
	s := start(t, "--plaintext-login")
	login := func(password string) []string {
		return []string{"--from", demo, "--to", admin, "--auth-user", demo, "--auth-password", password}
	}
	for _, tt := range []struct {
		name string
		tls  bool
		args []string
		code int
		says []string
	}{
		{"STARTTLS and PLAIN", true, append(login(daemon.Password), "--server", s.Addr("submission"), "-tls", "--auth", "PLAIN", "--tls-verify", "--tls-ca-path", s.ca()), 0, []string{"TLS started", "235 2.7.0", "250 2.0.0 queued as"}},
		{"TLS and LOGIN", true, append(login(daemon.Password), "--server", s.Addr("submissions"), "-tlsc", "--auth", "LOGIN"), 0, []string{"235 2.7.0", "250 2.0.0 queued as"}},
		{"without TLS", false, append(login(daemon.Password), "--server", s.Addr("submission"), "--auth"), 0, []string{"235 2.7.0", "250 2.0.0 queued as"}},
		{"pipelining", false, append(login(daemon.Password), "--server", s.Addr("submission"), "--auth", "--pipeline"), 0, []string{"250 2.0.0 queued as"}},
		{"wrong password", false, append(login("wrong"), "--server", s.Addr("submission"), "--auth", "PLAIN"), 28, []string{"535 5.7.8"}},
		{"no login", false, []string{"--server", s.Addr("submission"), "--from", demo, "--to", admin}, 23, []string{"530 5.7.0"}},
		{"another's sender", false, append(login(daemon.Password), "--from", admin, "--server", s.Addr("submission"), "--auth"), 23, []string{"553 5.7.1"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if tt.tls {
				needSwaksTLS(t)
			}
			r := run(t, nil, swaks, tt.args...)
			if r.code != tt.code {
				t.Errorf("exit %d, want %d", r.code, tt.code)
			}
			contains(t, r.out+r.err, tt.says...)
		})
	}
}

func TestSwaksFromOutside(t *testing.T) {
	t.Parallel()
	swaks := need(t, "swaks")
	s := start(t)
	for _, tt := range []struct {
		name string
		args []string
		code int
		says string
	}{
		{"mail for us", []string{"--from", "a@else.example", "--to", demo}, 0, "250 2.0.0 queued as"},
		{"pipelined", []string{"--from", "a@else.example", "--to", demo + "," + admin, "--pipeline"}, 0, "250 2.0.0 queued as"},
		{"the null sender", []string{"--from", "<>", "--to", demo}, 0, "250 2.0.0 queued as"},
		{"relay", []string{"--from", "a@else.example", "--to", "b@foreign.example"}, 24, "550 5.7.1"},
		{"relay under our name", []string{"--from", demo, "--to", "b@foreign.example"}, 24, "550 5.7.1"},
		{"nobody here", []string{"--from", "a@else.example", "--to", "nobody@example.test"}, 24, "550 5.1.1"},
		{"login without TLS", []string{"--from", demo, "--to", admin, "--auth", "PLAIN", "--auth-user", demo, "--auth-password", "x"}, 28, "auth"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := run(t, nil, swaks, append(tt.args, "--server", s.Addr("smtp"))...)
			if r.code != tt.code {
				t.Errorf("exit %d, want %d", r.code, tt.code)
			}
			contains(t, strings.ToLower(r.out+r.err), strings.ToLower(tt.says))
		})
	}
}

// LMTP answers for each recipient by itself, over TCP and a Unix socket.
func TestSwaksDeliversByLMTP(t *testing.T) {
	t.Parallel()
	swaks := need(t, "swaks")
	socket := shortDir(t) + "/lmtp"
	d := daemon.Start(t, daemon.Options{Listen: []string{"lmtp", "lmtp=" + socket, "imap"}, Args: []string{"--plaintext-login"}})
	out := must(t, nil, swaks, "--protocol", "LMTP", "--socket", socket, "--from", "a@else.example", "--to", demo+","+admin)
	if n := strings.Count(out, "250 2.0.0"); n != 2 {
		t.Errorf("%d replies for two recipients:\n%s", n, out)
	}
	r := run(t, nil, swaks, "--protocol", "LMTP", "--socket", socket, "--from", "a@else.example", "--to", "nobody@example.test")
	contains(t, r.out, "550 5.1.1")
	// A line of Output for each listener; the second lmtp is the Unix socket.
	contains(t, strings.Join(d.Output(), "\n"), "unix:"+socket)
}

// useSwaks sends letters by three mechanisms. It does not speak SMTPUTF8, so
// the server may not take an address that needs it.
func useSwaks(p *post) {
	if p.way != inClear {
		needSwaksTLS(p.t)
	}
	args := func(to, mechanism string) []string {
		tls := map[way][]string{implicit: {"--tls-on-connect", "--tls-verify", "--tls-ca-path", p.home + "/ca.pem"}, upgraded: {"--tls", "--tls-verify", "--tls-ca-path", p.home + "/ca.pem"}}
		return append([]string{"--server", p.Addr(p.smtpAt), "--helo", "client.example", "--from", p.me, "--to", to,
			"--auth", mechanism, "--auth-user", p.me, "--auth-password", password}, tls[p.way]...)
	}
	sent := letters(p.me, p.friend)
	for i, l := range sent {
		text := strings.TrimSuffix(string(unix(l.content)), "\n") // it ends the last line itself
		p.run(nil, "swaks", append(args(p.friend, []string{"PLAIN", "LOGIN"}[i%2]), "--data", "@"+p.file("letter", text))...)
	}
	p.received(p.friend, "INBOX", sent)
	for _, to := range p.abroad {
		r := p.end(p.command("swaks", args(to, "PLAIN")...), nil)
		if r.code != 24 || !strings.Contains(r.out, "553 5.6.7") {
			p.t.Errorf("%s without SMTPUTF8: exit %d\n%s%s", to, r.code, tail(r.out), r.err)
		}
	}
	p.distrusts("TLS", func() result { return p.end(p.command("swaks", args(p.friend, "PLAIN")...), nil) })
	p.received(p.friend, "INBOX", sent)
}
