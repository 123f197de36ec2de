package check

import (
	"context"
	"io"
	"strings"

	"posthorn/internal/base/reply"
	"posthorn/internal/policy"
	"posthorn/internal/wire/mime"
)

// Forwarded judges mail that a user's own program forwards by itself, which
// would get round a ban on forwarding (M-GEN-05).
type Forwarded struct {
	// Mode is how the verdict counts that a program of a user who has logged in
	// forwards mail automatically.
	Mode policy.Mode `default:"off" oneof:"enforce,observe,off"`
}

// maxHeader is how much of a header section is looked at.
const maxHeader = 256 << 10

// check refuses what is marked as forwarded by a program.
func (w *Forwarded) check(_ context.Context, f *policy.Facts) policy.Verdict {
	if f.Login == nil {
		return policy.Passed("nobody has logged in")
	}
	mark, err := f.Mark("forwarded by a program", forwardMark)
	switch {
	case err != nil:
		return policy.Unable("reading the header of the message", err)
	case mark == "":
		return policy.Passed("no mark of automatic forwarding")
	}
	return policy.Refused(reply.New(550, reply.E(5, 7, 1), "Automatically forwarded mail is not accepted here"),
		"the message has "+mark+", the mark of a program that forwards by itself")
}

// forwardMark names the field by which a program says that it forwarded.
func forwardMark(m *policy.Message) (string, error) {
	header := make([]byte, min(m.Structure.Parts[0].Header.Len(), maxHeader))
	if _, err := m.Body.ReadAt(header, 0); err != nil && err != io.EOF {
		return "", err
	}
	resent, auto := false, ""
	for field := range mime.Fields(header) {
		name := strings.ToLower(string(field.Name))
		switch {
		case name == "x-ms-exchange-inbox-rules-loop":
			return "X-MS-Exchange-Inbox-Rules-Loop", nil
		case strings.HasPrefix(name, "resent-"):
			resent = true
		case name == "auto-submitted":
			auto, _, _ = strings.Cut(strings.ToLower(strings.TrimSpace(string(mime.Unfold(field.Value)))), ";")
		}
	}
	switch auto = strings.TrimSpace(auto); {
	case auto == "auto-forwarded":
		return "Auto-Submitted: auto-forwarded", nil
	case resent && auto != "" && auto != "no":
		return "Resent fields and Auto-Submitted: " + auto, nil
	}
	return "", nil
}
