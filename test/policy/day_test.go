package policy_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"posthorn/internal/server/manage"
)

// day is 24 hours of mixed traffic. Actors are scripts that know what each of
// their sessions must hear; want is added up from the scripts alone, before
// anything runs, and compared with what the house has counted at the end.
type day struct {
	w     *world
	zone  strings.Builder
	cast  []func()
	want  tally
	mu    sync.Mutex
	wrong []string
}

// tally counts by words.
type tally map[string]int

// numbers of hosts of each kind, and of mails of those that send more than one.
const (
	proper, perProper   = 220, 8
	once                = 300
	listed              = 400
	worst               = 100
	hasty               = 100
	forgers             = 100
	pretenders          = 60
	relays              = 100
	users, perUser      = 2, 60
	guesses, dayUnknown = 20, 10
	mailLoops           = 5
	afterBlock          = 20
)

// length of the day that is played; at its end all actors are done.
const length = 24*time.Hour - 10*time.Minute

// wave is the grain of time: hosts that come at one moment share the store's
// commits, which are what a test like this waits for.
const wave = 10 * time.Minute

// address of the n-th host of a kind.
func address(kind, n int) string { return fmt.Sprintf("11.%d.%d.%d", kind, n/200, n%200+1) }

// actor adds a script that begins at a moment of its own, at the latest when
// span of the day is left.
func (d *day) actor(span time.Duration, play func()) {
	begin := time.Duration(rand.New(rand.NewPCG(uint64(len(d.cast)), 7)).Int64N(int64(length - span))).Truncate(wave)
	d.cast = append(d.cast, func() {
		time.Sleep(begin)
		play()
	})
}

// hears plays a session that must end with a reply.
func (d *day) hears(m letter, want string) {
	said, err := d.w.send(m)
	if got := last(said).String(); err != nil || !strings.HasPrefix(got, want) {
		d.fault("%s from %s heard %s, %v; want %s", m.sender, m.from, got, err, want)
	}
}

func (d *day) fault(format string, args ...any) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.wrong = append(d.wrong, fmt.Sprintf(format, args...))
}

// count adds to what is expected.
func (d *day) count(n int, words ...string) {
	for _, word := range words {
		d.want[word] += n
	}
}

func from(kind, n int) letter {
	return letter{from: address(kind, n), helo: "mx.client.example", sender: "<somebody@client.example>", to: []string{"bob@example.test"}, content: plain}
}

// properSenders are put off once, come back, and send all day.
func (d *day) properSenders() {
	for n := range proper {
		m := from(1, n)
		pause := time.Duration(n%6+1) * wave
		d.actor(perProper*time.Hour+10*time.Minute, func() {
			d.hears(m, "451 4.7.1")
			time.Sleep(90 * time.Second)
			for range perProper {
				d.hears(m, "250 2.0.0")
				time.Sleep(pause)
			}
		})
	}
	d.count(proper, "deferred", "check greylist defer", "record deferred", "greylist", "greylist confirmed")
	d.count(proper*perProper, "accepted", "record accepted", "bob")
}

// onceOnly are put off and never come back; they are forgotten after eight hours.
func (d *day) onceOnly() {
	for n := range once {
		m := from(2, n)
		// Half of them early, half of them late, none near the moment that counts.
		begin := time.Duration(n/10) * wave
		if n%2 == 1 {
			begin, d.want["greylist"] = length-begin-time.Minute, d.want["greylist"]+1
		}
		d.cast = append(d.cast, func() {
			time.Sleep(begin)
			d.hears(m, "451 4.7.1")
		})
	}
	d.count(once, "deferred", "check greylist defer", "record deferred")
}

// spammers are refused: at the door, when they name a recipient, or for whom
// they pretend to be.
func (d *day) spammers() {
	d.zone.WriteString("$ORIGIN other.example.\n")
	d.refused(3, listed, "554 5.7.1", "blocklists", func(m *letter, n int) { d.zone.WriteString(reversed(m.from) + " IN A 127.0.0.2\n") })
	d.zone.WriteString("$ORIGIN worst.example.\n")
	for n := range worst {
		m := from(4, n)
		d.zone.WriteString(reversed(m.from) + " IN A 127.0.0.2\n")
		d.actor(time.Hour, func() { d.hears(m, "554 5.7.1") })
	}
	d.count(worst, "check listed-reject reject", "record refused")
	for n := range hasty {
		d.actor(time.Hour, func() { d.talksEarly(address(5, n)) })
	}
	d.count(hasty, "check greeting drop", "record refused")
	d.refused(6, forgers, "550 5.7.23", "spf", func(m *letter, _ int) { m.sender = "<boss@guarded.example>" })
	d.refused(7, pretenders, "550 5.7.26", "dmarc", func(m *letter, _ int) {
		m.sender, m.content = "<news@pass.example>", "From: boss@strict.example\r\n\r\nPay at once.\r\n"
	})
	d.refused(8, relays, "550 5.7.1", "relaying", func(m *letter, _ int) { m.to = []string{"victim@far.example"} })
}

func (d *day) refused(kind, hosts int, want, check string, change func(m *letter, n int)) {
	for n := range hosts {
		m := from(kind, n)
		change(&m, n)
		d.actor(time.Hour, func() { d.hears(m, want) })
	}
	d.count(hosts, "refused", "check "+check+" reject", "record refused")
}

func (d *day) talksEarly(host string) {
	c := d.w.dial(host, "smtp")
	defer c.close()
	if r, err := c.say("EHLO early.example"); err != nil || r.code != 554 {
		d.fault("an early talker heard %v, %v", r, err)
	}
}

// dictionary is one host that tries out names, runs into the block of the day
// and goes on knocking.
func (d *day) dictionary() {
	d.actor(23*time.Hour, func() {
		m := from(10, 0)
		m.to = nil
		for i := range dayUnknown {
			m.to = append(m.to, fmt.Sprintf("name%d@example.test", i))
		}
		m.to = append(m.to, "bob@example.test")
		d.hears(m, "421 4.7.0")
		for range afterBlock {
			time.Sleep(time.Hour)
			d.hears(m, "554 5.7.1 Your host is blocked")
		}
	})
	d.count(dayUnknown, "refused", "check recipient-exists reject")
	d.count(1, "record refused", "banned day")
	d.count(afterBlock, "check banned reject", "record refused")
}

// bruteForce guesses passwords over IMAP until it is banned, waits, and guesses
// a little more.
func (d *day) bruteForce() {
	host := address(11, 0)
	guess := func(n int) {
		for range n {
			if got := d.login(host); !strings.HasPrefix(got, "a NO [AUTHENTICATIONFAILED]") {
				d.fault("a guess was answered %q", got)
			}
			time.Sleep(10 * time.Second)
		}
	}
	d.actor(3*time.Hour, func() {
		guess(15)
		for range 5 {
			if got := d.login(host); !strings.HasPrefix(got, "* BYE") {
				d.fault("a banned host heard %q", got)
			}
		}
		time.Sleep(time.Hour)
		guess(guesses - 15)
	})
	d.count(guesses, "login failures")
	d.count(1, "banned failures")
}

func (d *day) login(host string) string {
	c := d.w.dial(host, "imap")
	defer c.close()
	text, err := c.line()
	if err == nil && strings.HasPrefix(text, "* OK") {
		if _, err = io.WriteString(c.conn, "a LOGIN alice@example.test guess\r\n"); err == nil {
			text, err = c.line()
		}
	}
	if err != nil {
		return err.Error()
	}
	return text
}

// loop is a message that has been here too often; its host is a proper one.
func (d *day) loop() {
	m := from(12, 0)
	m.content = strings.Repeat("Received: from a.example by b.example; Sat, 1 Jan 2000 00:00:00 +0000\r\n", 60) + plain
	d.actor(2*time.Hour, func() {
		d.hears(m, "451 4.7.1")
		time.Sleep(2 * time.Minute)
		for range mailLoops {
			d.hears(m, "554 5.4.6")
			time.Sleep(10 * time.Minute)
		}
	})
	d.count(1, "deferred", "check greylist defer", "record deferred", "greylist", "greylist confirmed")
	d.count(mailLoops, "refused", "check hops reject", "record refused")
}

// submitters are users who write to each other, and once to a host that cannot
// be reached: that message waits, and its author is told after four hours.
func (d *day) submitters() {
	submit := func(who, to string) letter {
		return letter{from: address(9, 0), listener: "submission", helo: "home", login: who + "@example.test", sender: "<" + who + "@example.test>", to: []string{to},
			content: "From: " + who + "@example.test\r\n\r\nHello.\r\n"}
	}
	for i := range perUser {
		d.cast = append(d.cast, func() {
			time.Sleep(time.Duration(i) * 2 * wave)
			d.hears(submit("bob", "alice@example.test"), "250 2.0.0")
			d.hears(submit("alice", "bob@example.test"), "250 2.0.0")
		})
	}
	d.cast = append(d.cast, func() {
		time.Sleep(time.Hour)
		d.hears(submit("alice", "someone@lost.example"), "250 2.0.0")
	})
	d.count(users*perUser, "accepted", "record accepted", "logins")
	d.count(perUser, "alice", "bob")
	d.count(1, "accepted", "record accepted", "logins", "queued", "alice")
}

// reversed is an address as DNS lists spell it.
func reversed(ip string) string {
	parts := strings.Split(ip, ".")
	slices.Reverse(parts)
	return strings.Join(parts, ".")
}

// far is everybody's domains.
const far = `
$ORIGIN example.test.
@ IN MX 10 mx
mx IN A 192.0.2.25
$ORIGIN client.example.
@ IN MX 10 mx
mx IN A 192.0.2.1
$ORIGIN guarded.example.
@ IN MX 10 mx
@ IN TXT "v=spf1 -all"
mx IN A 192.0.2.2
$ORIGIN pass.example.
@ IN MX 10 mx
@ IN TXT "v=spf1 ip4:11.7.0.0/16 -all"
mx IN A 192.0.2.3
$ORIGIN strict.example.
@ IN MX 10 mx
_dmarc IN TXT "v=DMARC1; p=reject"
mx IN A 192.0.2.4
`

// TestADayOfMixedTrafficEndsWithTheExpectedCounters is "done means" of the
// whole policy: everybody gets what is due, and the books are right.
func TestADayOfMixedTrafficEndsWithTheExpectedCounters(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := &day{want: tally{}}
		d.zone.WriteString(far)
		d.properSenders()
		d.onceOnly()
		d.spammers()
		d.dictionary()
		d.bruteForce()
		d.loop()
		d.submitters()
		d.w = newWorld(t, d.zone.String(), "server.time_zone UTC", "policy.door.greeting_delay 5s", "policy.greylist.scope all", "policy.greylist.key address",
			"policy.unknown.per_day "+strconv.Itoa(dayUnknown), `policy.classes.lists ["worst.example reject"]`, "policy.blocklists.lists other.example",
			"policy.names.client off", "policy.names.helo_full off", "policy.names.helo_known off")
		defer d.w.close()
		d.w.zones.Behave("lost.example.", failing())
		var all sync.WaitGroup
		for _, play := range d.cast {
			all.Go(play)
		}
		all.Wait()
		time.Sleep(length - time.Since(d.w.began))
		for _, wrong := range d.wrong[:min(20, len(d.wrong))] {
			t.Error(wrong)
		}
		got, err := d.w.counted()
		if err != nil {
			t.Fatal(err)
		}
		for _, word := range slices.Sorted(maps.Keys(d.want)) {
			if got[word] != d.want[word] {
				t.Errorf("%s: %d, want %d", word, got[word], d.want[word])
			}
			delete(got, word)
		}
		for word, n := range got {
			if n != 0 {
				t.Errorf("%s: %d, want none", word, n)
			}
		}
	})
}

// counted is what the house has counted by itself: figures, lists, mailboxes,
// records.
func (w *world) counted() (tally, error) {
	got, err := w.figures()
	if err != nil {
		return nil, err
	}
	outcomes, err := w.outcomes()
	if err != nil {
		return nil, err
	}
	for outcome, n := range outcomes {
		got["record "+outcome] = n
	}
	for _, who := range people {
		_, index, err := w.box(who)
		if err != nil {
			return nil, err
		}
		got[who] = len(index.Entries)
	}
	bans, err := list[manage.Ban](w, "ban-list", `{"limit":1000,"ended":true}`)
	if err != nil {
		return nil, err
	}
	for _, b := range bans {
		got["banned "+b.Kind]++
	}
	var page struct {
		Total, Confirmed int
		Items            []manage.GreylistClient
	}
	text, err := w.house.Service.Call(w.t.Context(), "greylist-list", []byte(`{"limit":1000}`))
	if err == nil {
		err = json.Unmarshal(text, &page)
	}
	if err != nil {
		return nil, err
	}
	for _, c := range page.Items {
		got["greylist"]++
		if c.Confirmed {
			got["greylist confirmed"]++
		}
	}
	_, waiting, err := w.house.Store.Queue().Count(w.t.Context())
	got["queued"] = int(waiting)
	return got, err
}

// figure is a line of /metrics.
var figure = regexp.MustCompile(`^posthorn_(\w+?)(?:_total)?(?:\{(.*)\})? (\S+)$`)

// label is one of its labels.
var label = regexp.MustCompile(`(\w+)="([^"]*)"`)

// figures reads /metrics.
func (w *world) figures() (tally, error) {
	c := w.dial("127.0.0.1", "metrics")
	defer c.close()
	if _, err := io.WriteString(c.conn, "GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"); err != nil {
		return nil, err
	}
	got := tally{}
	lines := bufio.NewScanner(c.in)
	for lines.Scan() {
		m := figure.FindStringSubmatch(lines.Text())
		if m == nil {
			continue
		}
		labels := map[string]string{}
		for _, l := range label.FindAllStringSubmatch(m[2], -1) {
			labels[l[1]] = l[2]
		}
		n, err := strconv.ParseFloat(m[3], 64)
		if err != nil {
			return nil, err
		}
		got.add(m[1], labels, int(n))
	}
	return got, lines.Err()
}

// add puts a figure under the word of the scripts.
func (t tally) add(name string, labels map[string]string, n int) {
	switch name {
	case "messages":
		t[labels["result"]] += n
	case "policy_decisions":
		word := "check " + labels["check"] + " " + labels["action"]
		if labels["mode"] != "enforce" {
			word += " " + labels["mode"]
		}
		t[word] += n
	case "logins":
		t["logins"] += n
	case "login_failures":
		t["login failures"] += n
	}
}
