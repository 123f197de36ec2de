package manage

import "testing"

// The log tells who did what to what, without the values of settings.
func TestTheLogNamesTargetAndAuthor(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		in           any
		target, says string
	}{
		{&DomainSetInput{Name: "a.test"}, "a.test", ""},
		{&DomainAddInput{Body: NewDomain{Name: "b.test"}}, "b.test", ""},
		{&AccountAddInput{Body: AccountChange{Addresses: []string{"ann@a.test", "info@a.test"}}}, "ann@a.test info@a.test", ""},
		{&SettingChangeInput{Body: SettingChange{Set: map[string]string{"relay.user": "me", "relay.password": "hunter2"}, Unset: []string{"relay.port"}, SettingSaving: SettingSaving{Author: "root"}}}, "relay.password relay.user relay.port", "root"},
		{&QueuePurgeInput{QueueManyInput: QueueManyInput{QueueSelection: QueueSelection{Sender: "a.test", State: "held"}, Author: "eva"}}, "a.test held", "eva"},
		{&None{}, "", ""},
	} {
		if got := target(tt.in); got != tt.target {
			t.Errorf("%T: target %q, want %q", tt.in, got, tt.target)
		}
		if got := claimed(tt.in); got != tt.says {
			t.Errorf("%T: author %q, want %q", tt.in, got, tt.says)
		}
	}
}
