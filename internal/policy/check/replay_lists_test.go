package check

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"posthorn/internal/policy"
	"posthorn/internal/state/access"
	"posthorn/internal/state/setting"
)

// proposal is a change of the lists: lines of a file of rules, and names.
func proposal(t testing.TB, add string, remove ...string) *policy.Proposal {
	t.Helper()
	rows, err := access.ReadFile(add, false)
	if err != nil {
		t.Fatal(err)
	}
	var rules []*access.Rule
	for _, row := range rows {
		r, err := access.New(row)
		if err != nil {
			t.Fatal(err)
		}
		rules = append(rules, r)
	}
	return policy.NewProposal(rules, remove)
}

// TestRulesAddedAndRemovedChangeExactlyTheExpectedSenders changes the lists and
// replays everybody; before are the rules of the recording, rule-1, rule-2, …
func TestRulesAddedAndRemovedChangeExactlyTheExpectedSenders(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, c := range []struct{ settings, add, remove, want string }{
			{"", "block ip 192.0.2.1", "", "plain refused"},
			{"", "block network 192.0.2.0/30 discard", "", "laptop discarded, noname discarded, plain discarded"},
			{"", "block sender PLAIN@good.test", "", "plain refused"},
			{"", "block sender plain@good.test disabled", "", ""},
			{"", "block sender plain@good.test expires=1999-01-01T00:00:00Z", "", ""},
			{"", "block recipient alice@example.test", "", "many refused"},
			{"", "block sender alice@example.test from-field", "", "author refused, pretend refused, thief refused"},
			{"", "block ip 192.0.2.1\nallow sender plain@good.test", "", ""},
			{"", "block network 192.0.2.0/30\nallow recipient bob@example.test", "", ""},
			{"", "allow network 192.0.2.0/24", "", "early open"},
			{"", "", "nobody", ""},
			{"block ip 192.0.2.1\nblock sender laptop@good.test", "", "rule-1", "plain open"},
			{"block ip 192.0.2.1\nblock sender laptop@good.test", "", "RULE-1 rule-2", "laptop open, plain open"},
			{"block ip 192.0.2.1", "block ip 192.0.2.1 discard name=rule-1", "rule-1", "plain open"}, // content may be refused all the same
			{"block ip 192.0.2.1", "block sender plain@good.test", "rule-1", ""},
			{"block network 192.0.2.0/30", "allow sender plain@good.test", "", "plain open"},
			{"block network 192.0.2.0/30", "allow domain good.test authenticated", "", "laptop unknown, noname unknown, plain unknown"}, // SPF was not asked
			{"block network 192.0.2.0/24\nallow domain good.test", "", "rule-2", everybody("refused", "bare early ghost pretend relay")},
			{"set names.client enforce", "allow ip 192.0.2.2", "", "noname open"},
			{"set authentic.mode enforce", "allow network 192.0.2.0/24", "", "doubtful accepted, early open, fake accepted, mangled accepted"},
			{"set spf.mode enforce\nallow sender forged@good.test", "", "rule-1", "forged refused"},
			{"set blocklists.mode enforce\nallow ip 192.0.2.9", "", "rule-1", "listed refused"},
		} {
			attempts, names := recorded(t, observed+c.settings)
			p := &player{scripted: newScripted(), settings: setting.Defaults[Settings](setting.Recommended)}
			if err := script(p, strings.Split(observed+c.settings, "\n")); err != nil {
				t.Fatal(err)
			}
			pipeline, lists := policy.NewPipeline(p.settings.Rules()), proposal(t, c.add, strings.Fields(c.remove)...)
			found := map[string]bool{}
			for i := range attempts {
				switch r := policy.Replay(pipeline, lists, &attempts[i]); {
				case r.Unknown:
					found[names[i]+" unknown"] = true
				case r.Ends != "":
					found[names[i]+" open"] = true
				case r.Differs():
					found[names[i]+" "+r.After.String()] = true
				}
			}
			if got := strings.Join(slices.Sorted(maps.Keys(found)), ", "); got != c.want {
				t.Errorf("%s; with %q without %q:\n  got  %s\n  want %s", c.settings, c.add, c.remove, got, c.want)
			}
			for _, name := range strings.Fields(c.remove) {
				if lists.Met(name) != (name != "nobody") {
					t.Errorf("met %s: %v", name, lists.Met(name))
				}
			}
		}
	})
}

// everybody has the fate who comes without a login and takes an ordinary way,
// but some.
func everybody(fate, but string) string {
	var list []string
	for _, line := range visitors {
		name, own, _ := strings.Cut(line, ":")
		if !strings.Contains(own, "login") && !slices.Contains(strings.Fields(but), name) {
			list = append(list, name+" "+fate)
		}
	}
	slices.Sort(list)
	return strings.Join(list, ", ")
}

// A refusal that is lifted says which checks nobody asked.
func TestALiftedRefusalNamesTheChecksThatCouldStillRefuse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, c := range []struct{ who, settings, change, add, remove, has, lacks string }{
			// Refused at RCPT: what follows, and nothing before.
			{"plain", "block ip 192.0.2.1", "", "", "rule-1", "content/size content/hops content/blocked-author", "rcpt/recipient-exists rcpt/spf connect/banned content/virus data/milter-data"},
			{"noname", "set names.client enforce", "set names.client off", "", "", "content/size", "content/dmarc"}, // which observes
			{"noname", "set names.client enforce", "set names.client off\nset authentic.mode enforce\nset virus.server 127.0.0.1:3310", "", "", "content/dkim content/dmarc content/virus", "content/spam"},
			// An allow rule that lifts the refusal lifts others.
			{"noname", "set names.client enforce", "set authentic.mode enforce", "allow ip 192.0.2.2", "", "content/size", "content/dkim content/dmarc content/blocked-author"},
			{"noname", "set names.client enforce", "set authentic.mode enforce\nset names.client off", "allow recipient bob@example.test", "", "content/dkim", "content/blocked-author"},
			// Refused at the door.
			{"plain", "set classes.subnets 192.0.2.1 reject", "set classes.subnets", "", "", "greeting/listed-reject mail/size-declared rcpt/recipient-exists rcpt/relaying connect/banned content/hops", "connect/class-reject"},
			// Facts that are missing are named by who asks for them.
			{"plain", "", "set attachments.extensions exe", "", "", "content/attachments", "content/size"},
		} {
			attempts, names := recorded(t, observed+c.settings)
			p := &player{scripted: newScripted(), settings: setting.Defaults[Settings](setting.Recommended)}
			if err := script(p, strings.Split(observed+c.settings+"\n"+c.change, "\n")); err != nil {
				t.Fatal(err)
			}
			i := slices.Index(names, c.who)
			r := policy.Replay(policy.NewPipeline(p.settings.Rules()), proposal(t, c.add, strings.Fields(c.remove)...), &attempts[i])
			var list []string
			for _, u := range r.Unasked {
				for _, name := range u.Checks {
					list = append(list, u.Stage+"/"+name)
				}
			}
			if r.Ends == "" && !r.Unknown || len(list) == 0 {
				t.Errorf("%s under %q: %+v", c.who, c.change, r)
			}
			for _, want := range strings.Fields(c.has) {
				if !slices.Contains(list, want) {
					t.Errorf("%s under %q %q: %s is not among %v", c.who, c.change, c.add, want, list)
				}
			}
			for _, not := range strings.Fields(c.lacks) {
				if slices.Contains(list, not) {
					t.Errorf("%s under %q %q: %s is among %v", c.who, c.change, c.add, not, list)
				}
			}
			if fmt.Sprint(r.Unasked) != fmt.Sprint(policy.Replay(policy.NewPipeline(p.settings.Rules()), proposal(t, c.add, strings.Fields(c.remove)...), &attempts[i]).Unasked) {
				t.Errorf("%s: another time, another list", c.who)
			}
		}
	})
}
