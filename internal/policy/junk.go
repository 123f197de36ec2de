package policy

import (
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"posthorn/internal/state/store"
)

// JunkFilter is the statistical filter. It answers soon, whatever is the matter;
// what it cannot judge now is not known.
type JunkFilter interface {
	// Opinion judges a message for one account. From is who handed it in, the
	// zero value where its topmost Received field says so.
	Opinion(ctx context.Context, account store.AccountID, m *Message, from Sending) Opinion
}

// Sending is a client as the filter sees it.
type Sending struct {
	Addr netip.Addr
	// Helo is what it calls itself, Name its verified reverse name.
	Helo, Name string
}

// Opinion is what the filter of an account thinks of a message.
type Opinion struct {
	// Known is false while the account has taught too little, or nobody could
	// say; Problem tells why then.
	Known   bool   `json:"known"`
	Problem string `json:"problem,omitempty"`
	// Probability is that of junk, from 0 to 1.
	Probability float64 `json:"probability,omitempty"`
	// Reasons are what told most, strongest first: bounded words of the message.
	Reasons []string `json:"reasons,omitempty"`
}

// String says it in one line.
func (o Opinion) String() string {
	switch {
	case o.Known && len(o.Reasons) == 0:
		return o.Percent()
	case o.Known:
		return o.Percent() + ": " + strings.Join(o.Reasons, ", ")
	case o.Problem != "":
		return "not known: " + o.Problem
	}
	return "not known: too little was learned"
}

// Percent is the probability with two digits.
func (o Opinion) Percent() string {
	return strconv.FormatFloat(min(max(o.Probability, 0), 1), 'f', 2, 64)
}

// MarshalText implements encoding.TextMarshaler.
func (o Opinion) MarshalText() ([]byte, error) {
	if o.Probability != 0 || len(o.Reasons) > 0 {
		type plain Opinion
		return json.Marshal(plain(o))
	}
	text := newObject() // of most accounts nothing is known
	text.key("known")
	text.text = strconv.AppendBool(text.text, o.Known)
	text.some("problem", o.Problem)
	return text.done()
}

// UnmarshalText implements encoding.TextUnmarshaler.
func (o *Opinion) UnmarshalText(b []byte) error {
	type plain Opinion
	return json.Unmarshal(b, (*plain)(o))
}

// Opinion asks the filter of an account about the content.
func (f *Facts) Opinion(ctx context.Context, account store.AccountID) Opinion {
	return learn(f, fmt.Sprintf("junk %d", account), func() Opinion {
		if f.Filter == nil || f.Content == nil {
			return Opinion{Problem: "there is no filter"}
		}
		return f.Filter.Opinion(ctx, account, f.Content, Sending{Addr: f.Client.Unmap(), Helo: f.Helo, Name: f.Hostname})
	})
}
