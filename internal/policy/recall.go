package policy

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"posthorn/internal/state/access"
	"posthorn/internal/state/store"
)

// SawLists notes what DNS lists have said of the client by now.
func (f *Facts) SawLists() {
	var names []string
	for name := range f.ledger.known {
		if strings.HasPrefix(name, "list ") {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	for _, name := range names {
		if a, ok := f.ledger.known[name].(*answer[Listing]); ok {
			f.Saw(name, a.text)
		}
	}
}

// WellKnown reports a host whose mail was accepted lately.
func (f *Facts) WellKnown() bool {
	y := learn(f, "well known", func() yes { return yes{value: f.Regulars != nil && f.Regulars.WellKnown(f.Client.Unmap())} })
	return y.value
}

// ban is the answer of Bans.
type ban struct {
	Row  store.BanRow `json:"ban,omitzero"`
	Held bool         `json:"banned"`
}

// MarshalText implements encoding.TextMarshaler.
func (b *ban) MarshalText() ([]byte, error) {
	if !b.Held {
		return []byte("no"), nil
	}
	type plain ban
	return json.Marshal((*plain)(b))
}

// UnmarshalText implements encoding.TextUnmarshaler.
func (b *ban) UnmarshalText(text []byte) error {
	if *b = (ban{}); string(text) == "no" {
		return nil
	}
	type plain ban
	return json.Unmarshal(text, (*plain)(b))
}

// Banned returns the ban that holds for the client.
func (f *Facts) Banned() (store.BanRow, bool) {
	b := learn(f, "ban", func() (b ban) {
		if f.Bans != nil {
			b.Row, b.Held = f.Bans.Banned(f.Client.Unmap(), f.Time)
		}
		return b
	})
	return b.Row, b.Held
}

// Pace counts one more event of the client host. What is over is not counted, so
// it is one more than its record says.
func (f *Facts) Pace(r Rate, most int, per time.Duration) Pace {
	p := f.pace("rate "+r.String(), func() Pace { return f.Rates.Count(r, f.Client.Unmap(), f.Time, most, per) })
	if f.Recorded != nil {
		p.Over = p.Count > most || p.Over && p.Count == most
	}
	return p
}

// Reached is how the host stands without counting: one more would be Over.
func (f *Facts) Reached(r Rate, most int, per time.Duration) Pace {
	p := f.pace("reached "+r.String(), func() Pace { return f.Rates.Look(r, f.Client.Unmap(), f.Time, most, per) })
	if f.Recorded != nil {
		p.Over = p.Count >= most
	}
	return p
}

func (f *Facts) pace(name string, ask func() Pace) Pace {
	p := learn(f, name, func() Pace {
		if f.Rates == nil {
			return Pace{}
		}
		return ask()
	})
	delete(f.ledger.known, name) // it is another one each time
	return p
}

// grey is the answer of Greylist: the client's row after the attempt.
type grey struct {
	First     time.Time `json:"first,omitzero"`
	Confirmed time.Time `json:"confirmed,omitzero"`
	// At is when the attempt was.
	At  time.Time `json:"at,omitzero"`
	Err string    `json:"failed,omitempty"`
	row store.GreylistRow
	// wait is how long the client must still wait.
	wait time.Duration
}

// UnmarshalText implements encoding.TextUnmarshaler.
func (g *grey) UnmarshalText(b []byte) error {
	type plain grey
	return json.Unmarshal(b, (*plain)(g))
}

// Greylisted notes the attempt in the greylist and says how long the client must
// still wait, 0 when it passes.
func (f *Facts) Greylisted(ctx context.Context, a store.GreylistRow, r store.GreylistRules) (store.GreylistRow, time.Duration, error) {
	if f.Greylist == nil && f.Recorded == nil {
		return a, 0, nil
	}
	name := "greylist " + a.Key
	g := learn(f, name, func() (g grey) {
		var err error
		if g.row, g.wait, err = f.Greylist.Attempt(ctx, a, f.Time, r); err != nil {
			g.Err = err.Error()
		}
		g.First, g.Confirmed, g.At = g.row.First, g.row.Confirmed, f.Time
		return g
	})
	delete(f.ledger.known, name) // it is another one each time
	if g.Err != "" {
		return a, 0, sourceError(g.Err)
	}
	if f.Recorded != nil {
		g.row, g.wait = a, g.again(r)
		g.row.First, g.row.Confirmed = g.First, g.Confirmed
	}
	return g.row, g.wait, nil
}

// again judges a recorded attempt by other rules, from when the client tried
// first and was confirmed. What it would have done in between by those rules is
// not known.
func (g *grey) again(r store.GreylistRules) time.Duration {
	if !g.Confirmed.IsZero() && g.Confirmed.Before(g.At) {
		return 0
	}
	return max(0, g.First.Add(r.Interval).Sub(g.At))
}

// Block returns the block rule of one of the kinds that matches the envelope,
// nil if none does. The pipeline lets allow rules win over it.
func (f *Facts) Block(kinds ...access.Kind) *access.Rule {
	m := &f.ledger.rulesOf
	for _, list := range [...][]*access.Rule{m.client, m.sender, m.recipient} {
		if r := f.block(list, kinds...); r != nil {
			return r
		}
	}
	return nil
}

// BlockAuthor returns the block rule by sender that asks for the From field
// and matches it, nil if none does. Those of the envelope had their say at RCPT.
func (f *Facts) BlockAuthor() *access.Rule { return f.block(f.ledger.rulesOf.author, access.Sender) }

func (f *Facts) block(list []*access.Rule, kinds ...access.Kind) *access.Rule {
	for _, r := range list {
		if r.Block && r.Live(f.Time) && slices.Contains(kinds, r.Kind) {
			return r
		}
	}
	return nil
}

// mark is what was found in the content, "" for nothing.
type mark struct{ text, err string }

// MarshalText implements encoding.TextMarshaler.
func (m *mark) MarshalText() ([]byte, error) {
	switch {
	case m.err != "":
		return []byte("failed " + m.err), nil
	case m.text == "":
		return []byte("no"), nil
	}
	return []byte("yes " + m.text), nil
}

// UnmarshalText implements encoding.TextUnmarshaler.
func (m *mark) UnmarshalText(b []byte) error {
	*m = mark{}
	word, rest, _ := strings.Cut(string(b), " ")
	switch word {
	case "failed":
		m.err = rest
	case "yes":
		m.text = rest
	}
	return nil
}

// Mark looks for something in the content and returns how it is called there,
// "" when it is not. name is the record's word for what is looked for.
func (f *Facts) Mark(name string, look func(*Message) (string, error)) (string, error) {
	m := learn(f, name, func() mark {
		if f.Content == nil {
			return mark{}
		}
		text, err := look(f.Content)
		if err != nil {
			return mark{err: err.Error()}
		}
		return mark{text: text}
	})
	if m.err != "" {
		return "", sourceError(m.err)
	}
	return m.text, nil
}
