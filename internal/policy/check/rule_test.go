package check

import (
	"encoding"
	"reflect"
	"testing"
)

type ruleText interface {
	encoding.TextMarshaler
	encoding.TextUnmarshaler
}

// What is saved is the normal form; it must be read as the same rule.
func TestRulesOfSettingsReadBackAsTheyWereWritten(t *testing.T) {
	for _, c := range []struct {
		text, normal string
		rule, again  ruleText
	}{
		{"192.0.2.7/255.255.255.0 dial-up", "192.0.2.0/24=dial-up", &SubnetRule{}, &SubnetRule{}},
		{"2001:db8::/32=no-greylisting-no-ban", "2001:db8::/32=no-greylisting-no-ban", &SubnetRule{}, &SubnetRule{}},
		{"::1 = trusted", "::1/128=trusted", &SubnetRule{}, &SubnetRule{}},
		{"Zen.Example.Net=reject", "zen.example.net=reject", &ListRule{}, &ListRule{}},
		{"zen.example.net reject ipv6", "zen.example.net=reject:ipv6", &ListRule{}, &ListRule{}},
		{"zen.example.net=reject:both", "zen.example.net=reject", &ListRule{}, &ListRule{}},
		{"zen.example.net", "zen.example.net=1", &WeightedList{}, &WeightedList{}},
		{"zen.example.net=-2", "zen.example.net=-2", &WeightedList{}, &WeightedList{}},
		{"zen.example.net=3:127.0.0.4/30", "zen.example.net=3:127.0.0.4/30", &WeightedList{}, &WeightedList{}},
	} {
		if err := c.rule.UnmarshalText([]byte(c.text)); err != nil {
			t.Errorf("%s: %v", c.text, err)
			continue
		}
		b, err := c.rule.MarshalText()
		if err != nil || string(b) != c.normal {
			t.Errorf("%s became %s (%v), want %s", c.text, b, err, c.normal)
		}
		if err := c.again.UnmarshalText(b); err != nil || !reflect.DeepEqual(c.rule, c.again) {
			t.Errorf("%s: %v and %v differ (%v)", c.text, c.rule, c.again, err)
		}
	}
}

func FuzzRulesOfSettings(f *testing.F) {
	for _, seed := range []string{"192.0.2.0/24=dial-up", "2001:db8::/32 reject", "zen.example.net=reject:ipv4", "zen.example.net=3:127.0.0.4/30", "=", "a=b:c:d"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		for _, r := range []ruleText{&SubnetRule{}, &ListRule{}, &WeightedList{}} {
			if r.UnmarshalText([]byte(text)) != nil {
				continue
			}
			b, err := r.MarshalText()
			if err != nil {
				t.Fatalf("%q: %v", text, err)
			}
			again := reflect.New(reflect.TypeOf(r).Elem()).Interface().(ruleText)
			if err := again.UnmarshalText(b); err != nil || !reflect.DeepEqual(r, again) {
				t.Fatalf("%q became %q: %v", text, b, err)
			}
		}
	})
}
