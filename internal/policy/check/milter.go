package check

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"posthorn/internal/base/unit"
	"posthorn/internal/policy"
	"posthorn/internal/policy/scan"
)

// Milters are programs that see every step of a session with a message in it
// (protocol version 6 of Sendmail's mail filters).
type Milters struct {
	// Servers are the milters in the order in which they are asked: host:port or
	// unix:/path, or as milters write it inet:port@host. What follows a space,
	// accept, tempfail or reject, is the milter's own fallback.
	Servers []string `default:""`
	// Fallback is what happens when a milter is down, late or makes no sense: mail
	// passes without it, is put off or refused.
	Fallback string `default:"accept" oneof:"accept,tempfail,reject"`
	// ConnectTime is how long connecting to a milter may take.
	ConnectTime time.Duration `default:"10s" min:"1s" max:"5m"`
	// CommandTime is how long a milter may take to answer about one command.
	CommandTime time.Duration `default:"30s" min:"1s" max:"5m"`
	// ContentTime is how long a milter may take for a whole message.
	ContentTime time.Duration `default:"5m" min:"1s" max:"10m"`
	// MostBody is the largest body that may replace a message's; 0 allows none.
	MostBody unit.Size `default:"10MB" min:"0" max:"100MB"`
	// Outgoing asks milters about mail of users and trusted clients too.
	Outgoing bool `default:"true"`
	// Mode is how the verdicts of milters count.
	Mode policy.Mode `default:"enforce" oneof:"enforce,observe,off"`
}

// Milter is one milter of the settings.
type Milter struct {
	Endpoint scan.Endpoint
	Fallback scan.Fallback
}

// List reads the servers.
func (m *Milters) List() ([]Milter, error) {
	var list []Milter
	for _, text := range m.Servers {
		where, fallback, own := strings.Cut(strings.TrimSpace(text), " ")
		if !own {
			fallback = m.Fallback
		}
		e, err := scan.ParseEndpoint(where)
		if err != nil {
			return nil, err
		}
		d, err := scan.ParseFallback(strings.TrimSpace(fallback))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", where, err)
		}
		list = append(list, Milter{e, d})
	}
	return list, nil
}

// Validate refuses addresses that nobody could connect to.
func (m *Milters) Validate() error {
	if _, err := m.List(); err != nil {
		return fmt.Errorf("policy.milters.servers: %w", err)
	}
	return nil
}

// check asks the milters at one of the stages Mail to Content.
func (m *Milters) check(ctx context.Context, f *policy.Facts) policy.Verdict {
	if len(m.Servers) == 0 {
		return policy.Passed("there are no milters")
	}
	if !m.Outgoing && !fromOutside(f) {
		return policy.Passed("milters are asked about mail from outside")
	}
	r := f.Filtered(ctx)
	if !r.Asked {
		return policy.Passed("nobody was asked")
	}
	reason := r.Reason
	switch {
	case reason != "":
	case r.Problem != "":
		reason = "it passes without a milter that failed: " + r.Problem
	default:
		reason = "the milters let it pass"
	}
	v := policy.Verdict{Action: r.Action, Reply: r.Reply, Reason: reason}
	if v.Action >= policy.Defer {
		v.Reply = v.Reply.Because(errors.New(reason))
		if v.Reply.Close {
			v.Action = policy.Drop
		}
		return v
	}
	if r.Edits != nil || r.Quarantine != "" {
		v.Effects = &policy.Effects{Quarantine: r.Quarantine}
		if r.Edits != nil {
			v.Effects.Edits = []*policy.Edits{r.Edits}
		}
	}
	return v
}
