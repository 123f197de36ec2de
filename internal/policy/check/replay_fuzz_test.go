package check

import (
	"encoding/json"
	"reflect"
	"testing"

	"posthorn/internal/policy"
	"posthorn/internal/state/record"
)

// FuzzReplay judges whatever a record may hold: it never panics, and twice the
// same comes of it.
func FuzzReplay(f *testing.F) {
	f.Add([]byte(`{"complete":true,"steps":[{"verb":"connect"},{"verb":"RCPT"},{"verb":"content"},{"verb":"MAIL"}]}`))
	f.Add([]byte(`{"complete":true,"client":"192.0.2.1","steps":[{"verb":"RCPT","argument":"<","facts":[{"name":"leads to","value":"local 9 unlimited"},{"name":"rule","value":"block ip"}]}]}`))
	strict := defaults()
	strict.Names.Client, strict.Names.HeloKnown, strict.Names.Stage, strict.Auth.Everywhere = policy.Enforce, policy.Enforce, "connection", true
	pipelines := []*policy.Pipeline{policy.NewPipeline(defaults().Rules()), policy.NewPipeline(strict.Rules())}
	proposals := []*policy.Proposal{nil, proposal(f, "allow network 192.0.2.0/24\nblock sender a@away.test from-field\nblock recipient a@ours.test discard", "x")}
	f.Fuzz(func(t *testing.T, text []byte) {
		var a record.Attempt
		if json.Unmarshal(text, &a) != nil {
			return
		}
		for i, p := range pipelines {
			lists := proposals[i]
			if first, second := policy.Replay(p, lists, &a), policy.Replay(p, lists, &a); !reflect.DeepEqual(first, second) {
				t.Errorf("%+v, and then %+v", first, second)
			}
		}
	})
}
