package pop3

import (
	"errors"
	"strings"
	"testing"
	"time"
)

func TestResponsesAreWritten(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		r    Response
		want string
	}{
		{OK("posthorn ready"), "+OK posthorn ready"}, {OK(""), "+OK"}, {Err("", "no such message"), "-ERR no such message"},
		{Err(InUse, "try later"), "-ERR [IN-USE] try later"}, {Err(AuthFailed, ""), "-ERR [AUTH]"},
		{Err(SysTemp, "try later").Because(errors.New("disk")).Closing(), "-ERR [SYS/TEMP] try later"},
		{Err("", "[AUTH] is not a code here"), "-ERR (AUTH] is not a code here"}, {Err("", "a\r\n+OK b"), "-ERR a??+OK b"},
		{OK("grüß\x00"), "+OK gr?????"}, {OK(strings.Repeat("x", 600)), "+OK " + strings.Repeat("x", 506)},
	} {
		if got := string(c.r.Append([]byte("kept"))); got != "kept"+c.want+"\r\n" || c.r.String() != c.want {
			t.Errorf("%q, want %q", got, c.want)
		}
	}
}

func TestListingsAreWritten(t *testing.T) {
	t.Parallel()
	b := AppendScan(nil, 1, 120)
	b = AppendUID(b, 2, UID(0x5f3a1c2b, 7))
	b = AppendEnd(b)
	b = AppendContinue(b, []byte("Username:"))
	b = AppendContinue(b, nil)
	if want := "1 120\r\n2 5f3a1c2b00000007\r\n.\r\n+ VXNlcm5hbWU6\r\n+ \r\n"; string(b) != want {
		t.Errorf("%q, want %q", b, want)
	}
}

func TestCapabilitiesFollowTheSession(t *testing.T) {
	t.Parallel()
	always := "TOP UIDL RESP-CODES AUTH-RESP-CODE PIPELINING"
	for _, c := range []struct {
		c    Capabilities
		want string
	}{
		{Capabilities{}, always + ",EXPIRE NEVER"},
		{Capabilities{User: true, STLS: true, SASL: []string{"SCRAM-SHA-256", "PLAIN"}}, always + ",USER,STLS,SASL SCRAM-SHA-256 PLAIN,EXPIRE NEVER"},
		{Capabilities{UTF8: true, Lang: true, LoginDelay: 1500 * time.Millisecond, Expire: 30 * 24 * time.Hour, Implementation: "a\r\nb"},
			always + ",UTF8 USER,LANG,LOGIN-DELAY 2,EXPIRE 30,IMPLEMENTATION a??b"},
	} {
		head, rest, _ := strings.Cut(c.want, ",")
		want := strings.ReplaceAll(head, " ", "\r\n") + "\r\n" + strings.ReplaceAll(rest, ",", "\r\n") + "\r\n"
		if got := string(c.c.Append(nil)); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
