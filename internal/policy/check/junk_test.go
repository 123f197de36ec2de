package check

import (
	"context"
	"strings"
	"testing"

	"posthorn/internal/policy"
	"posthorn/internal/state/store"
)

// believer has an opinion for each account.
type believer map[store.AccountID]policy.Opinion

func (b believer) Opinion(_ context.Context, account store.AccountID, m *policy.Message, from policy.Sending) policy.Opinion {
	if m == nil || from.Helo != "client.test" {
		return policy.Opinion{Problem: "asked wrongly"}
	}
	return b[account]
}

func TestJunkFilterFilesAndNeverRefuses(t *testing.T) {
	t.Parallel()
	filter := believer{7: {Known: true, Probability: 0.97, Reasons: []string{`word "winner" 0.99`}}, 8: {Known: true, Probability: 0.9}, 9: {Known: true, Probability: 0.899}, 10: {}}
	for _, c := range []struct {
		account store.AccountID
		later   bool
		junk    bool
		field   string
		reason  string
	}{
		{7, false, true, "X-Posthorn-Junk: yes 0.97 (from 0.9)\r\n", `says 0.97: word "winner" 0.99; its copy goes to Junk`},
		{8, true, true, "X-Posthorn-Junk: yes 0.90 (from 0.9)\r\n", "Junk"},
		{9, false, false, "X-Posthorn-Junk: no 0.90 (from 0.9)\r\n", "says 0.90"},
		{10, false, false, "", "too little was learned"},
		{0, true, false, "", "when its copy is filed"},
		{0, false, false, "", "no mailbox here"},
	} {
		f := &policy.Facts{Helo: "client.test", AtOnce: c.account, Later: c.later, Content: &policy.Message{}}
		f.Filter = filter
		v := (&Junk{From: 0.9}).check(t.Context(), f)
		var e policy.Effects
		if v.Effects != nil {
			e = *v.Effects
		}
		if v.Action != policy.Pass || e.Copy.Junk != c.junk || e.Copy.Field != c.field || e.Sift != c.later || e.Junk != "" || !strings.Contains(v.Reason, c.reason) {
			t.Errorf("account %d: %+v %+v", c.account, v, e)
		}
	}
}

func TestOpinionsAreReadBackFromRecords(t *testing.T) {
	t.Parallel()
	for _, o := range []policy.Opinion{{}, {Known: true, Probability: 0.5}, {Known: true, Probability: 1, Reasons: []string{"a", "b"}}, {Problem: "x"}} {
		text, err := o.MarshalText()
		var back policy.Opinion
		if err != nil || back.UnmarshalText(text) != nil || back.String() != o.String() {
			t.Errorf("%+v became %+v, %v", o, back, err)
		}
	}
}
