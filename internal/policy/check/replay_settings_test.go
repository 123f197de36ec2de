package check

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"posthorn/internal/policy"
	"posthorn/internal/state/record"
	"posthorn/internal/state/setting"
)

// observed are the settings of the recordings: every check that can observes.
const observed = `
set rate.mode observe
set rate.connections 1
set rate.messages 2
set names.pipelining observe
set origin.full observe
set origin.known observe
set blocklists.lists zen.test
set blocklists.mode observe
set spf.mode observe
set greylist.mode observe
set greylist.key address
set sender.mode observe
set sender.own_outside true
set quota.mode observe
set recipients.mode observe
set recipients.inbound 1
set recipients.outbound 1
set authentic.mode observe
set authentic.refuse_broken true
`

// visitors are sessions, each in a fresh minute and with a world in which nothing
// is wrong but what its lines say. The sender's local part is its name. Those who
// never get to say a sender are known by their client.
var visitors = []string{
	"plain",
	"noname: reverse @ absent; spf none",
	"laptop: helo laptop",
	"nowhere: helo nowhere.test; domain nowhere.test absent",
	"other: helo mx.other.test; domain mx.other.test found",
	"pusher: forbidden",
	"bare: mail <bare@localhost>",
	"ghost: mail <ghost@gone.test>; domain gone.test absent",
	"listed: listed zen.test found 127.0.0.2",
	"forged: spf fail good.test",
	"big: mail <big@good.test> size=5000; content size=5000",
	"large: content size=5000",
	"tight: room free=94371840 total=1073741824",
	"many: rcpt <bob@example.test>; rcpt <alice@example.test>",
	"full: mail <full@good.test> size=200; rcpt <full@example.test>",
	"loop: content hops=9",
	"mangled: dkim; dkim fail good.test",
	"fake: dmarc fail good.test reject",
	"doubtful: dmarc fail good.test quarantine",
	"relay: rcpt <x@far.test>",
	"pretend: mail <alice@example.test>",
	"thief: login bob@example.test; mail <alice@example.test>",
	"author: login bob@example.test; mail <bob@example.test>; content from=alice@example.test",
	"crowd: login bob@example.test; mail <bob@example.test>; rcpt <x@far.test>; rcpt <y@far.test>",
	"early: connect @ smtp spoke-first",
	"hasty: connect @ smtp; connect @ smtp",
	"chatty: mail <chatty@good.test>; mail <chatty@good.test>; mail <chatty@good.test>",
}

// visit is the script of one visitor: each line of its own takes the place of
// what everybody does.
func visit(n int, line string) (name, client string, script []string) {
	name, own, _ := strings.Cut(line, ": ")
	client = fmt.Sprintf("192.0.2.%d", n+1)
	said := map[string][]string{}
	var world []string
	for step := range strings.SplitSeq(own, "; ") {
		step = strings.ReplaceAll(step, "@ ", client+" ")
		switch verb, _, _ := strings.Cut(step, " "); verb {
		case "connect", "login", "helo", "forbidden", "mail", "rcpt", "content":
			said[verb] = append(said[verb], step)
		case "":
		default:
			world = append(world, step)
		}
	}
	script = append([]string{
		"room free=1073741824 total=1073741824", "reverse " + client + " found mail.good.test", "domain good.test found", "domain mail.good.test found",
		"listed zen.test absent", "spf pass good.test", "dkim", "dkim pass good.test", "dmarc pass good.test none", "wait 10m",
	}, world...)
	for _, usual := range []string{"connect " + client + " smtp", "helo mail.good.test", "login", "forbidden", "mail <" + name + "@good.test>", "rcpt <bob@example.test>", "data", "content"} {
		verb, _, _ := strings.Cut(usual, " ")
		switch lines := said[verb]; {
		case lines != nil:
			script = append(script, lines...)
		case verb != "login" && verb != "forbidden":
			script = append(script, usual)
		}
	}
	return name, client, script
}

// recorded plays all visitors under the settings and returns what was recorded,
// by name.
func recorded(t *testing.T, settings string) (attempts []record.Attempt, names []string) {
	p := &player{scripted: newScripted(), settings: setting.Defaults[Settings](setting.Recommended)}
	if err := script(p, strings.Split(settings, "\n")); err != nil {
		t.Fatal(err)
	}
	current := ""
	tape := newTape(p, func(a *record.Attempt, _ *policy.Pipeline) {
		attempts, names = append(attempts, *a), append(names, current)
	})
	for n, line := range visitors {
		name, _, lines := visit(n, line)
		current = name
		if err := script(p, lines); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		tape.end()
		tape.a = record.Attempt{}
	}
	return attempts, names
}

// script plays lines; a session that was refused is over.
func script(p *player, lines []string) error {
	over := false
	for _, line := range lines {
		w := strings.Fields(line)
		if len(w) == 0 {
			continue
		}
		switch w[0] {
		case "connect":
			over = false
		case "helo", "mail", "rcpt", "data", "content":
			if over || w[0] >= "d" && w[0] <= "dz" && p.facts.Accepted == 0 || w[0] == "content" && p.facts.Accepted == 0 {
				continue
			}
		}
		if err := p.step(w); err != nil {
			return fmt.Errorf("%s: %w", line, err)
		}
		switch w[0] {
		case "connect", "mail", "data":
			over = p.last.Refuses()
		}
	}
	return nil
}

// TestOneSettingPerCheckChangesExactlyTheExpectedSenders changes one setting and
// replays everybody.
func TestOneSettingPerCheckChangesExactlyTheExpectedSenders(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		attempts, names := recorded(t, observed)
		strangers := slices.DeleteFunc(slices.Compact(slices.Clone(names)), func(s string) bool {
			return s == "thief" || s == "author" || s == "crowd" || s == "early"
		})
		all := func(fate string, but ...string) string {
			var list []string
			for _, s := range strangers {
				if !slices.Contains(but, s) {
					list = append(list, s+" "+fate)
				}
			}
			return strings.Join(list, ", ")
		}
		covered := map[string]bool{}
		for _, c := range []struct{ checks, set, want string }{
			{"class-reject", "classes.subnets 192.0.2.1 reject", "plain refused"},
			{"connection-rate message-rate", "rate.mode enforce", "chatty deferred, hasty deferred"},
			{"listed-reject", "classes.lists zen.test reject", "author unknown, chatty unknown, crowd unknown, listed refused, thief unknown"},
			{"greeting", "door.mode off", "early accepted"},
			{"greeting", "door.greeting_delay 4s", ""},
			{"greeting", "door.greeting_delay 6s", "author unknown, crowd unknown, thief unknown, " + all("unknown", "relay")},
			{"dial-up", "classes.subnets 192.0.2.1 dial-up", "plain refused"},
			{"helo-match", "names.helo_match domain", "laptop refused, nowhere refused, other refused"},
			{"login-required", "auth.everywhere true", all("refused", "relay", "hasty") + ", hasty refused"},
			{"size-declared size", "size.inbound 4000B", "big refused, large refused"},
			{"disk-room", "room.reserve 100MB", "tight deferred"},
			{"sender-full", "origin.full enforce", "bare refused"},
			{"sender-owned own-address author-owned", "sender.mode enforce", "author refused, pretend refused, thief refused"},
			{"relaying", "trust.clients 192.0.2.20", "relay accepted"},
			{"sender-known", "origin.known enforce", "ghost refused"},
			{"client-name", "names.client enforce", "noname refused"},
			{"helo-full", "names.helo_full enforce", "laptop refused"},
			{"helo-known", "names.helo_known enforce", "nowhere refused"},
			{"pipelining pipelining-data", "names.pipelining enforce", "pusher refused"},
			{"blocklists", "blocklists.mode enforce", "listed refused"},
			{"spf", "spf.mode enforce", "forged refused"},
			{"recipient-limit recipient-limit-data", "recipients.mode enforce", "crowd refused, many deferred"},
			{"quota", "quota.mode enforce", "full deferred"},
			{"greylist", "greylist.mode enforce", "forged deferred, noname deferred"},
			{"hops", "hops.inbound 5", "loop refused"},
			{"auto-forwarded", "forwarded.mode enforce", "author unknown, crowd unknown, thief unknown"},
			{"dkim dmarc", "authentic.mode enforce", "doubtful junk, fake refused, mangled refused"},
			{"attachments", "attachments.extensions exe", all("unknown", "relay")},
			{"virus", "virus.server 127.0.0.1:3310", "author unknown, crowd unknown, thief unknown, " + all("unknown", "relay")},
			{"spam", "spam.url http://127.0.0.1:11333", all("unknown", "relay")},
			{"milter-mail milter-rcpt milter-data milter-content", "milters.servers 127.0.0.1:8891", "author unknown, crowd unknown, thief unknown, " + all("unknown", "relay")},
		} {
			for name := range strings.SplitSeq(c.checks, " ") {
				covered[name] = true
			}
			if got := replayed(t, attempts, names, observed+"set "+c.set); got != sorted(c.want) {
				t.Errorf("set %s:\n  got  %s\n  want %s", c.set, got, sorted(c.want))
			}
		}
		for _, e := range Table(defaults()) {
			if !covered[e.Name] && strings.HasPrefix(e.Setting, "policy.") && e.Worst > policy.Pass {
				t.Errorf("no setting of check %s is changed", e.Name)
			}
		}
	})
}

func sorted(list string) string {
	words := strings.Split(list, ", ")
	slices.Sort(words)
	return strings.Join(words, ", ")
}

// replayed judges all attempts by other settings and lists who is treated
// differently.
func replayed(t *testing.T, attempts []record.Attempt, names []string, settings string) string {
	t.Helper()
	p := &player{scripted: newScripted(), settings: setting.Defaults[Settings](setting.Recommended)}
	if err := script(p, strings.Split(settings, "\n")); err != nil {
		t.Fatal(err)
	}
	pipeline := policy.NewPipeline(p.settings.Rules())
	found := map[string]bool{}
	for i := range attempts {
		switch r := policy.Replay(pipeline, nil, &attempts[i]); {
		case r.Unknown:
			found[names[i]+" unknown"] = true
		case r.Differs():
			found[names[i]+" "+r.After.String()] = true
		}
	}
	return strings.Join(slices.Sorted(maps.Keys(found)), ", ")
}
