package policy

import (
	"context"
	"testing"
	"time"

	"posthorn/internal/state/access"
	"posthorn/internal/state/store"
)

// proven is an Authenticity for which SPF always passes and DMARC says what it was told.
type proven struct{ dmarc string }

func (proven) SPF(context.Context, *Facts) SPF { return SPF{Result: "pass", Identity: "mailfrom"} }

func (p proven) Message(context.Context, *Facts) Authentication {
	return Authentication{DMARC: Conformance{Result: p.dmarc}}
}

// Who proves the domain of the envelope has not proved that of the From field.
func TestRulesOfTheFromFieldWantTheAuthorProven(t *testing.T) {
	t.Parallel()
	rule := &access.Rule{AccessRow: store.AccessRow{Name: "boss", FromField: true, Authenticated: true}, Kind: access.Sender}
	for result, lifts := range map[string]bool{"pass": true, "fail": false, "none": false} {
		f := &Facts{Time: time.Unix(1, 0), Content: &Message{}, judging: Content, Sources: Sources{Authenticity: proven{result}}}
		f.Sender.Local, f.Sender.Domain = "a", "evil.example"
		m := matches{author: []*access.Rule{rule}}
		if got := m.lifted(context.Background(), Content, TestVirus, f) != nil; got != lifts {
			t.Errorf("DMARC %s: lifted %v", result, got)
		}
	}
}
