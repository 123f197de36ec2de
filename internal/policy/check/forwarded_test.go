package check

import (
	"context"
	"strings"
	"testing"

	"posthorn/internal/policy"
	"posthorn/internal/wire/mime"
)

func TestMailForwardedByAProgramIsKnownByItsMarks(t *testing.T) {
	t.Parallel()
	for header, refused := range map[string]bool{
		"Subject: hello":                                       false,
		"Auto-Submitted: no":                                   false,
		"Auto-Submitted: auto-replied":                         false,
		"Auto-Submitted: auto-forwarded":                       true,
		"auto-submitted:\r\n\tAuto-Forwarded; comment=1":       true,
		"X-MS-Exchange-Inbox-Rules-Loop: bob@example.test":     true,
		"Resent-From: bob@example.test":                        false,
		"Resent-To: a@b.test\r\nAuto-Submitted: auto-notified": true,
		"Resent-To: a@b.test\r\nAuto-Submitted: no":            false,
	} {
		text := header + "\r\n\r\nbody: Auto-Submitted: auto-forwarded\r\n"
		body := strings.NewReader(text)
		for _, login := range []string{"bob@example.test", ""} {
			f := &policy.Facts{Login: people[login], Content: &policy.Message{Structure: mime.Parse([]byte(text)), Body: body, Size: body.Size()}}
			s := Forwarded{Mode: policy.Enforce}
			v := s.check(context.Background(), f)
			if got := v.Action == policy.Reject; got != (refused && login != "") {
				t.Errorf("%q of %q: %v %s", header, login, v.Action, v.Reason)
			}
		}
	}
}
