package e2e

import (
	"fmt"
	"strings"
	"testing"
)

// reliability.md hostile input 19 and 20: nobody from outside has mail
// relayed, whatever the address looks like and whoever it claims to be from.
// Loopback is a stranger in the trial profile.
func TestEveryRelayTrickIsRefused(t *testing.T) {
	t.Parallel()
	s := start(t)
	senders := []string{"", "a@else.example", demo, "postmaster@example.test", "root@localhost", "demo@[127.0.0.1]", "nobody@mx.example.test"}
	recipients := []string{
		"<x@foreign.example>", "<x@FOREIGN.EXAMPLE.>", "<x@[192.0.2.9]>", "<x@[IPv6:2001:db8::9]>", "<x@[127.0.0.1]>", "<x@localhost>",
		"<x%foreign.example@example.test>", "<x%foreign.example@[127.0.0.1]>", "<x%foreign.example@mx.example.test>", "<x%foreign.example>", "<x%foreign.example@>",
		`<"x@foreign.example">`, `<"x@foreign.example"@example.test>`, `<"x@foreign.example"@[127.0.0.1]>`, `<"x%foreign.example"@example.test>`, `<"x\@foreign.example"@example.test>`,
		"<foreign.example!x>", "<foreign.example!x@example.test>", "<example.test!foreign.example!x>", `<"foreign.example!x"@example.test>`, "<foreign.example!x@[127.0.0.1]>",
		"<@example.test:x@foreign.example>", "<@mx.example.test:x@foreign.example>", "<@[127.0.0.1]:x@foreign.example>", "<@a.example,@example.test:x@foreign.example>", "<x@foreign.example@example.test>", "<x@foreign.example@>",
		"<x@example.test@foreign.example>", "<demo@example.test@foreign.example>", "<demo@example.test,x@foreign.example>", "<demo@example.test;x@foreign.example>", "<demo@example.test x@foreign.example>",
		"<demo@example.test> <x@foreign.example>", "<demo@example.test>,<x@foreign.example>", "<<x@foreign.example>>", "x@foreign.example", "< x@foreign.example >", "<x@foreign.example", "x@foreign.example>",
		"<x@foreign.example\t>", "<x@foreign.example\x00@example.test>", "<x@foreign.example\x00>", "<x@example.test.foreign.example>", "<x@example.test\\@foreign.example>", "<x@foreign.example#example.test>",
		"<x@foreign.example/example.test>", "<=?utf-8?q?x=40foreign.example=3E=00?=foo@example.test>", "<x@foreign。example>", "<x@foreign.example\u202e>", "<x+demo@foreign.example>", "<|/bin/sh@example.test>", "</etc/passwd@example.test>",
		"<\"|x@foreign.example\"@example.test>", "<x(example.test)@foreign.example>", "<x@(example.test)foreign.example>", "<:include:/etc/passwd@example.test>", "<demo@sub.example.test>", "<demo@xexample.test>", "<demo@.example.test>", "<demo@test>",
	}
	probes := 0
	for _, from := range senders {
		c := dial(t, "tcp", s.Addr("smtp"))
		c.expect("", "220")
		c.expect("EHLO mx.example.test", "250")
		for i, to := range recipients {
			if i%8 == 7 { // before the errors end the connection
				c.expect("QUIT", "221")
				c = dial(t, "tcp", s.Addr("smtp"))
				c.expect("", "220")
				c.expect("EHLO example.test", "250")
			}
			if answer := c.say("MAIL FROM:<" + from + ">"); !strings.HasPrefix(answer, "250") {
				probes++
				continue
			}
			answer := c.say("RCPT TO:" + to)
			if probes++; !strings.HasPrefix(answer, "55") && !strings.HasPrefix(answer, "50") {
				t.Errorf("MAIL FROM:<%s> RCPT TO:%q: %s", from, to, answer)
			}
			c.expect("DATA", "5")
			c.expect("RSET", "250")
		}
		c.expect("QUIT", "221")
	}
	t.Logf("%d probes", probes)
	contains(t, s.do("queue", "list"), "queue is empty")
	contains(t, s.do("trace", "--outcome", "accepted"), "No record matches")
	if got := s.do("account", "list", "--json"); strings.Contains(got, fmt.Sprintf("%q: 1", "used_messages")) {
		t.Errorf("something was delivered:\n%s", got)
	}
}
