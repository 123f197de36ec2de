package policy

import (
	"context"
	"testing"
)

type lost struct{}

func (lost) Find(string) (string, bool) { return "", false }

// A digest of rules in the name of a fact says nothing to people.
func TestAMissingFactIsNamedWithoutItsRules(t *testing.T) {
	t.Parallel()
	f := &Facts{Recorded: lost{}}
	f.Attachment(context.Background(), "ginw2l")
	if f.ledger.missing != "attachment" {
		t.Errorf("%q is missing", f.ledger.missing)
	}
}
