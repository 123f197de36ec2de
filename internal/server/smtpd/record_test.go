package smtpd

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"posthorn/internal/state/record"
)

// told is an attempt in a line: outcome, sender, recipients, and every refusal
// with what it answered.
func told(a *record.Attempt) string {
	var b strings.Builder
	b.WriteString(a.Outcome.String())
	if a.HasSender {
		fmt.Fprintf(&b, " <%s>", a.Sender)
	}
	for _, r := range a.Recipients {
		fmt.Fprintf(&b, " to <%s>", r)
	}
	for _, s := range a.Steps {
		if s.Reply != "" && s.Reply[0] >= '4' {
			fmt.Fprintf(&b, "; %s [%s] %.9s", s.Verb, s.Argument, s.Reply)
		}
	}
	return b.String()
}

func TestEveryAttemptIsInTheRecordWithItsReply(t *testing.T) {
	t.Parallel()
	const hello = "connect 192.0.2.1 smtp\nS: 220 …\nC: EHLO client.example\nS* 250 STARTTLS\n"
	const big = "! set policy.size.inbound 1000\n" + hello + "C: MAIL FROM:<a@remote.example>\nS: 250 …\nC: RCPT TO:<bob@example.test>\nS: 250 …\n"
	for name, c := range map[string]struct {
		dialogue string
		want     []string
	}{
		"bad syntax, then good": {hello + "C: MAIL FROM:<@example.net>\nS: 501 …\nC: MAIL FROM:<a@remote.example>\nS: 250 …\nC: QUIT\nS: 221 …", []string{
			"refused <@example.net>; MAIL [FROM:<@example.net>] 501 5.1.7", "aborted <a@remote.example>"}},
		"no path": {hello + "C: MAIL a@remote.example\nS: 501 …\nC: QUIT\nS: 221 …", []string{"refused; MAIL [a@remote.example] 501 5.5.4"}},
		"a parameter": {hello + "C: MAIL FROM:<a@remote.example> FOO=1\nS: 555 …\nC: QUIT\nS: 221 …", []string{
			"refused <a@remote.example>; MAIL [FROM:<a@remote.example> FOO=1] 555 5.5.4"}},
		"memory is short": {hello + "! tight on\nC: MAIL FROM:<a@remote.example>\nS: 452 …\nC: QUIT\nS: 221 …", []string{
			"deferred <a@remote.example>; MAIL [FROM:<a@remote.example>] 452 4.3.1"}},
		"pipelined behind EHLO": {"connect 192.0.2.1 smtp\nS: 220 …\nC- EHLO a.example\\r\\nMAIL FROM:<a@remote.example>\\r\\nRCPT TO:<bob@example.test>\\r\\nDATA\\r\\n\nS* 250 STARTTLS\nS: 503 …\nS: 503 …\nS: 503 …\nC: QUIT\nS: 221 …", []string{
			"refused <a@remote.example>; MAIL [FROM:<a@remote.example>] 503 5.5.0; command [RCPT TO:<bob@example.test>] 503 5.5.1; command [DATA] 503 5.5.1"}},
		"a recipient": {hello + "C: MAIL FROM:<a@remote.example>\nS: 250 …\nC: RCPT TO:<bob@@example.test>\nS: 501 …\nC: DATA\nS: 503 …\nC: QUIT\nS: 221 …", []string{
			"refused <a@remote.example> to <bob@@example.test>; RCPT [<bob@@example.test>] 501 5.1.3; command [DATA] 503 5.5.1"}},
		"no room for content": {hello + "C: MAIL FROM:<a@remote.example>\nS: 250 …\nC: RCPT TO:<bob@example.test>\nS: 250 …\n! fault draft full\nC: DATA\nS: 452 …\nC: QUIT\nS: 221 …", []string{
			"deferred <a@remote.example> to <bob@example.test>; DATA [] 452 4.3.1"}},
		"before EHLO": {"connect 192.0.2.1 smtp\nS: 220 …\nC: MAIL FROM:<a@remote.example>\nS: 503 …\nC: RCPT TO:<bob@example.test>\nS: 503 …\nC: QUIT\nS: 221 …", []string{
			"refused; command [MAIL FROM:<a@remote.example>] 503 5.5.1; command [RCPT TO:<bob@example.test>] 503 5.5.1"}},
		"silence":                  {hello + "S: 421 4.4.2 …\neof", []string{"aborted; timeout [] 421 4.4.2"}},
		"silence after an attempt": {hello + "C: MAIL FROM:<a@remote.example>\nS: 250 …\nC: RSET\nS: 250 …\nS: 421 4.4.2 …\neof", []string{"aborted <a@remote.example>"}},
		"silence after MAIL": {hello + "C: MAIL FROM:<a@remote.example>\nS: 250 …\nS: 421 4.4.2 …\neof", []string{
			"aborted <a@remote.example>; timeout [] 421 4.4.2"}},
		"silence in the content": {hello + "C: MAIL FROM:<a@remote.example>\nS: 250 …\nC: RCPT TO:<bob@example.test>\nS: 250 …\nC: DATA\nS: 354 …\nC: x\nS: 421 4.4.2 …\neof", []string{
			"aborted <a@remote.example> to <bob@example.test>; timeout [] 421 4.4.2"}},
		"silence in a chunk": {hello + "C: MAIL FROM:<a@remote.example>\nS: 250 …\nC: RCPT TO:<bob@example.test>\nS: 250 …\nC: BDAT 10\nC: x\nS: 421 4.4.2 …\neof", []string{
			"aborted <a@remote.example> to <bob@example.test>; timeout [] 421 4.4.2"}},
		"chunks too big together": {big + "C- BDAT 600\\r\\n\nC* 600 x\nS: 250 …\nC- BDAT 600\\r\\n\nC* 600 x\nS: 552 …\nC- BDAT 6 LAST\\r\\nNOOP\\r\\n\nS: 503 …\nC: QUIT\nS: 221 …", []string{
			"refused <a@remote.example> to <bob@example.test>; command [BDAT] 552 5.3.4"}},
		"a chunk too big": {big + "C- BDAT 600\\r\\n\nC* 600 x\nS: 250 …\nC- BDAT 401\\r\\n\nC* 401 x\nS: 552 …\nC: QUIT\nS: 221 …", []string{
			"refused <a@remote.example> to <bob@example.test>; command [BDAT] 552 5.3.4"}},
		"chunks behind a refused recipient": {hello + "C- MAIL FROM:<a@remote.example>\\r\\nRCPT TO:<bob@@example.test>\\r\\nBDAT 6\\r\\nNOOP\\r\\nBDAT 6 LAST\\r\\nNOOP\\r\\n\nS: 250 …\nS: 501 …\nS: 503 …\nS: 503 …\nC: QUIT\nS: 221 …", []string{
			"refused <a@remote.example> to <bob@@example.test>; RCPT [<bob@@example.test>] 501 5.1.3; command [BDAT] 503 5.5.1"}},
		"memory is short for long": {hello + "! tight on\nC: MAIL FROM:<a@remote.example>\nS: 452 …\nC: MAIL FROM:<b@remote.example>\nS: 452 …\nC: QUIT\nS: 221 …", []string{
			"deferred <a@remote.example>; MAIL [FROM:<a@remote.example>] 452 4.3.1"}},
		"nothing wrong":        {hello + "C: NOOP\nS: 250 …\nC: QUIT\nS: 221 …", nil},
		"a line too long":      {hello + "C- " + strings.Repeat("x", 20_000) + "\\r\\n\nS: 500 5.5.2 …\neof", []string{"refused; end [] 500 5.5.2"}},
		"a browser":            {"connect 192.0.2.1 smtp\nS: 220 …\nC: GET / HTTP/1.1\nS: 421 …\neof", []string{"deferred; command [(http)] 421 4.7.0"}},
		"what may be a secret": {hello + "C: c2VjcmV0\nS: 500 …\nC: AUTH PLAIN c2VjcmV0\nS: 504 …\nC: QUIT\nS: 221 …", []string{"refused; command [] 500 5.5.2; command [AUTH] 504 5.5.4"}},
		"the server stops":     {hello + "! stop 5s\nS: 421 4.3.2 …\neof", []string{"aborted; stop [] 421 4.3.2"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var got []string
			for _, a := range attempts(t, c.dialogue) {
				got = append(got, told(&a))
				if a.Complete && len(a.Steps) == 0 {
					t.Errorf("%+v", a)
				}
			}
			slices.Sort(got)
			want := slices.Clone(c.want)
			slices.Sort(want)
			if !slices.Equal(got, want) {
				t.Errorf("got  %q\nwant %q", got, want)
			}
		})
	}
}

func TestTooManyErrorsAreInTheRecord(t *testing.T) {
	t.Parallel()
	got := attempts(t, "connect 192.0.2.1 smtp\nS: 220 …\n! set smtp.errors.hard_limit 2\nclose\nconnect 192.0.2.1 smtp\nS: 220 …\nC- X\\r\\nX\\r\\nX\\r\\n\nS: 500 …\nS: 500 …\nS: 421 …\neof")
	if len(got) != 1 || told(&got[0]) != "refused; command [] 500 5.5.2; command [] 500 5.5.2; command [] 500 5.5.2; end [] 421 4.7.0" {
		t.Errorf("%+v", got)
	}
}

// What a refused MAIL leaves open must not take steps of the session with it.
func TestLoginAfterARefusedMailBelongsToTheSession(t *testing.T) {
	t.Parallel()
	got := attempts(t, `
connect 192.0.2.1 submission
S: 220 …
C: EHLO client.example
S* 250 FUTURERELEASE …
C: STARTTLS
S: 220 …
tls
C: EHLO client.example
S* 250 FUTURERELEASE …
C: MAIL FROM:<bob@example.test>
S: 530 …
C: AUTH PLAIN AGJvYkBleGFtcGxlLnRlc3QAY29ycmVjdCBob3JzZSBiYXR0ZXJ5
S: 235 …
C: MAIL FROM:<bob@example.test>
S: 250 …
C: QUIT
S: 221 …`)
	if len(got) != 2 {
		t.Fatalf("%+v", got)
	}
	var verbs []string
	for _, s := range got[1].Steps {
		verbs = append(verbs, s.Verb)
	}
	if strings.Join(verbs, " ") != "connect greeting EHLO STARTTLS EHLO AUTH MAIL" || got[0].Steps[len(got[0].Steps)-1].Verb != "MAIL" {
		t.Errorf("%v, %+v", verbs, got[0])
	}
}
