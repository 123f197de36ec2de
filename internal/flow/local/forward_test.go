package local_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"posthorn/internal/base/ident"
	"posthorn/internal/base/mail"
	"posthorn/internal/base/passwd"
	"posthorn/internal/flow/accept"
	"posthorn/internal/flow/local"
	"posthorn/internal/flow/queue"
	"posthorn/internal/flow/route"
	"posthorn/internal/state/directory"
	"posthorn/internal/state/store"
	"posthorn/internal/wire/mime"
)

// office is a house whose accounts forward: its doors and queues are real, and
// what leaves is kept.
type office struct {
	*house
	people    *directory.Directory
	door      *accept.Door
	forwarder *local.Forwarder
	set       directory.Settings
	sent      []string // "reverse-path -> recipient (NOTIFY, ORCPT) Delivered-To…"
	from      map[string]mail.Address
}

func newOffice(t *testing.T) *office {
	o := &office{house: newHouse(t), set: directory.Settings{MinPassword: 8, Forwarding: true}, from: map[string]mail.Address{}}
	o.people = directory.New(o.store.Directory(), directory.Options{Settings: func() *directory.Settings { return &o.set },
		Passwords: passwd.NewVerifier(passwd.Options{}), HostName: func() string { return "mx.ours.test" }})
	o.door = accept.New(o.store, accept.Options{})
	returns := &local.Returns{Keys: [][]byte{[]byte("0123456789abcdef0123456789abcdef")}}
	o.people.TakeReturns(returns.Read)
	o.forwarder = &local.Forwarder{People: o.people, Drafts: o.store, Door: o.door, Returns: returns, Hostname: func() string { return "mx.ours.test" }}
	return o
}

func addr(t testing.TB, s string) (a mail.Address) {
	t.Helper()
	if s == "postmaster" {
		return mail.Address{Local: s}
	}
	if err := a.UnmarshalText([]byte(s)); err != nil {
		t.Fatal(err)
	}
	return a
}

// person adds an account; to is where it forwards.
func (o *office) person(name string, only bool, to ...string) store.AccountID {
	o.t.Helper()
	row := store.AccountRow{Addresses: []mail.Address{addr(o.t, name)}, ForwardOnly: only}
	for _, a := range to {
		row.Forward = append(row.Forward, addr(o.t, a))
	}
	id, err := o.people.AddAccount(o.t.Context(), directory.NewAccount{AccountRow: row})
	o.must(err)
	return id
}

func (o *office) must(err error) {
	o.t.Helper()
	if err != nil {
		o.t.Fatal(err)
	}
}

// receive does what the door for SMTP does with a message; header goes before
// the content.
func (o *office) receive(from, to, header string, notify store.Notify) ident.ID {
	o.t.Helper()
	r, err := o.people.Resolve(o.t.Context(), addr(o.t, to))
	o.must(err)
	rcpt := accept.Recipient{Address: addr(o.t, to), Notify: notify, Remote: r.Forwards, Copies: r.Copies}
	if !r.Hosted() {
		rcpt.Remote = []mail.Address{rcpt.Address}
	}
	for _, d := range r.Deliveries {
		rcpt.Accounts = append(rcpt.Accounts, d.Account)
	}
	text := header + content
	draft, err := o.store.NewDraft(o.t.Context(), 0)
	o.must(err)
	defer draft.Discard()
	_, err = draft.Write([]byte(text))
	o.must(err)
	e := &accept.Envelope{Key: o.idents.New(), Time: time.Now(), Sender: addr(o.t, from), EnvelopeID: "env", Recipients: []accept.Recipient{rcpt}}
	o.must(o.door.Accept(o.t.Context(), e, &accept.Content{Body: draft, Structure: mime.Parse([]byte(text)), Trace: []byte("Received: from x; y\r\n")}))
	return e.Key
}

// route sends addresses of ours to the forwarder and everything else out.
func (o *office) route(_ *store.QueueMessage, r *store.QueueRecipient) route.Destination {
	if to, err := o.people.Resolve(context.Background(), r.Address); err != nil || to.Hosted() {
		return route.Ours()
	}
	return route.Destination{Key: r.Address.Domain, Domain: r.Address.Domain}
}

// Deliver keeps what leaves.
func (o *office) Deliver(ctx context.Context, j queue.Job) ([]queue.Result, error) {
	if j.To.Ours {
		return o.forwarder.Deliver(ctx, j)
	}
	body, err := j.Claim.BodyOpener(ctx)
	if err != nil {
		return nil, err
	}
	raw := make([]byte, body.Size())
	_, err = body.ReadAt(raw, 0)
	o.must(err)
	o.must(body.Close())
	parsed := mime.Parse(raw)
	var stored mime.Structure
	if err := stored.UnmarshalBinary(j.Claim.Message.Meta); err != nil || stored.Size != parsed.Size || stored.Parts[0].Body != parsed.Parts[0].Body ||
		!slices.Equal(stored.DeliveredTo, parsed.DeliveredTo) {
		o.t.Errorf("the structure stored is not that of the message: %+v, %+v, %v", stored, parsed, err)
	}
	var all []queue.Result
	for _, r := range j.Claim.Message.Recipients {
		m := &j.Claim.Message
		o.sent = append(o.sent, fmt.Sprintf("%s -> %s (%d %q %s) %s", m.Sender.Path(), r.Address, r.Notify, r.Original, m.EnvelopeID, strings.Join(parsed.DeliveredTo, " ")))
		o.from[r.Address.String()] = m.Sender
		all = append(all, queue.Result{Recipient: r.ID, Fate: queue.Delivered})
	}
	return all, nil
}

// work runs the queue and returns what left, sorted.
func (o *office) work() string {
	o.t.Helper()
	o.sent = nil
	ctx, cancel := context.WithTimeout(o.t.Context(), 10*time.Second)
	defer cancel()
	queue.New(queue.Options{Queue: o.store.Queue(), Owner: "node/remote", Deliverer: o, Route: o.route, Workers: 1,
		Done: func(_ queue.Job, list []queue.Ending, _ ident.ID) { o.done = append(o.done, list...) }}).Run(ctx)
	o.run(time.Second)
	slices.Sort(o.sent)
	return strings.Join(o.sent, "\n")
}

func TestForwardedMailLeavesUnderOurReversePath(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOffice(t)
		bob := o.person("bob@ours.test", false, "bob@far.test", "bob@else.test")
		o.person("eve@ours.test", true, "eve@far.test")
		o.receive("alice@sender.test", "bob@ours.test", "", store.NotifyFailure)
		o.receive("alice@sender.test", "eve@ours.test", "", 0)
		got := o.work()
		if e := o.done[slices.IndexFunc(o.done, func(e queue.Ending) bool { return !e.Result.As.IsZero() })]; e.Recipient.Address != addr(t, "bob@ours.test") || len(e.Result.Onward) != 2 {
			t.Errorf("what it says of the forwarding: %+v", e)
		}
		srs := o.from["eve@far.test"]
		if !strings.HasPrefix(srs.Local, "SRS0=") || !strings.HasSuffix(srs.Local, "=sender.test=alice") || srs.Domain != "ours.test" {
			t.Errorf("reverse-path %s", srs)
		}
		path := srs.Path()
		want := path + ` -> bob@else.test (4 "rfc822;bob@ours.test" env) bob@ours.test` + "\n" + path + ` -> bob@far.test (4 "rfc822;bob@ours.test" env) bob@ours.test` + "\n" +
			path + ` -> eve@far.test (0 "rfc822;eve@ours.test" env) eve@ours.test`
		if got != want {
			t.Errorf("left:\n%s\nwant\n%s", got, want)
		}
		if in := o.inbox(bob); len(in) != 1 || !strings.HasPrefix(in[0], "Return-Path: <alice@sender.test>\r\nDelivered-To: bob@ours.test\r\n") {
			t.Errorf("bob's copy: %q", in)
		}
		if n := o.waiting(); n != 0 {
			t.Errorf("%d still wait", n)
		}
	})
}

// The bounce comes back to the reverse-path and reaches the sender; what
// somebody made up, or kept for too long, is nobody's address.
func TestABounceOfForwardedMailReachesTheSender(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOffice(t)
		carol := o.person("carol@ours.test", false)
		o.person("eve@ours.test", true, "eve@far.test")
		o.receive("Alice@sender.test", "eve@ours.test", "", 0)
		o.work()
		path := o.from["eve@far.test"].String()
		o.receive("", path, "", 0)
		if got, want := o.work(), `<> -> Alice@sender.test (0 "rfc822;`+path+`" env) `+path; got != want {
			t.Errorf("left %q, want %q", got, want)
		}
		o.receive("", strings.ToLower(path), "", 0) // a host on the way changed the case
		if got := o.work(); !strings.HasPrefix(got, "<> -> alice@sender.test") {
			t.Errorf("left %q", got)
		}
		// Somebody who answers the reverse-path is heard, under one of ours again.
		o.receive("robot@far.test", path, "", 0)
		if got := o.work(); !strings.HasPrefix(got, "<SRS0=") || !strings.Contains(got, "=far.test=robot@ours.test> -> Alice@sender.test") {
			t.Errorf("left %q", got)
		}
		for _, bad := range []string{strings.Replace(path, "Alice", "Mallory", 1), "SRS0=AAAAAAAA=AA=sender.test=alice@ours.test", "SRS1=x@ours.test"} {
			if r, err := o.people.Resolve(t.Context(), addr(t, bad)); err != nil || r.Kind != directory.Unknown {
				t.Errorf("%s leads to %+v, %v", bad, r, err)
			}
		}
		time.Sleep(30 * 24 * time.Hour)
		if r, err := o.people.Resolve(t.Context(), addr(t, path)); err != nil || r.Kind != directory.Unknown {
			t.Errorf("an old one leads to %+v, %v", r, err)
		}
		// A sender who has an account here keeps the address; its bounce is filed.
		o.receive("carol@ours.test", "eve@ours.test", "", 0)
		if got := o.work(); !strings.HasPrefix(got, "<carol@ours.test> -> eve@far.test") {
			t.Errorf("left %q", got)
		}
		if in := o.inbox(carol); len(in) != 0 {
			t.Errorf("carol has %q", in)
		}
	})
}

// The null reverse-path stays null, and one that would get too long stays.
func TestReversePathsThatStayAsTheyAre(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOffice(t)
		o.person("eve@ours.test", true, "eve@far.test")
		for _, from := range []string{"", strings.Repeat("v", 60) + "@sender.test"} {
			o.receive(from, "eve@ours.test", "", 0)
			if got := o.work(); !strings.HasPrefix(got, "<"+from+"> -> eve@far.test") {
				t.Errorf("%q: left %q", from, got)
			}
		}
	})
}

func TestALoopOfForwardingEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOffice(t)
		eve := o.person("eve@ours.test", true, "eve@far.test")
		bob := o.person("bob@ours.test", false, "bob@far.test")
		o.must(o.people.AddAlias(t.Context(), store.AliasRow{Address: addr(t, "out@ours.test"), Targets: []mail.Address{addr(t, "x@far.test")}}))
		o.set.ExternalPostmaster = []mail.Address{addr(t, "noc@far.test")}
		o.set.Postmaster = addr(t, "bob@ours.test")
		for _, to := range []string{"eve@ours.test", "bob@ours.test", "out@ours.test", "postmaster@ours.test", "postmaster"} {
			o.receive("alice@sender.test", to, "Delivered-To: x@y.test\r\nDelivered-To: "+strings.ToUpper(to)+"\r\n", 0)
		}
		if got := o.work(); got != "" {
			t.Errorf("left again: %s", got)
		}
		var ends []string
		for _, e := range o.done {
			ends = append(ends, fmt.Sprint(e.Recipient.Address, " ", e.Result.Fate, " ", e.Result.Reply.Enhanced))
		}
		slices.Sort(ends)
		want := []string{"bob@ours.test 1 2.1.5", "eve@ours.test 1 2.1.5", "eve@ours.test 1 2.1.5", "out@ours.test 3 5.4.6", "postmaster 1 2.1.5", "postmaster@ours.test 1 2.1.5"}
		if !slices.Equal(ends, want) {
			t.Errorf("ends %q, want %q", ends, want)
		}
		if in := o.inbox(eve); len(in) != 1 { // who keeps no copy gets one rather than nobody
			t.Errorf("eve has %q", in)
		}
		if in := o.inbox(bob); len(in) != 3 { // own copies were filed: of bob's and of two for the postmaster
			t.Errorf("bob has %d", len(in))
		}
	})
}

func TestSystemMailGoesToTheAdministratorAndTheExternalPostmaster(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOffice(t)
		row, err := o.store.Directory().GetAccount(t.Context(), o.a)
		o.must(err)
		row.Admin, row.Forwarding = true, store.No // copies are not forwarding (M-GEN-05)
		o.must(o.people.SetAccount(t.Context(), row))
		o.set.Forwarding = false
		all := []string{"postmaster@ours.test", "mailer-daemon@ours.test", "Postmaster@mx.ours.test", "mailer-daemon@mx.ours.test", "postmaster"}
		for _, to := range all {
			o.receive("alice@sender.test", to, "", store.NotifySuccess|store.NotifyFailure)
		}
		if got := o.work(); got != "" || len(o.inbox(o.a)) != len(all) {
			t.Fatalf("without external postmasters %q left, %d filed", got, len(o.inbox(o.a)))
		}
		o.set.ExternalPostmaster = []mail.Address{addr(t, "noc@far.test"), addr(t, "boss@else.test")}
		for i, to := range all {
			for _, from := range []string{"alice@sender.test", ""} {
				o.receive(from, to, "", store.NotifyFailure)
				sent := strings.Split(o.work(), "\n")
				if len(sent) != 2 {
					t.Fatalf("%s from %q: left %q", to, from, sent)
				}
				domain := map[bool]string{true: "ours.test", false: "mx.ours.test"}[i < 2]
				for j, rcpt := range []string{"boss@else.test", "noc@far.test"} {
					path, rest, _ := strings.Cut(sent[j], " -> ")
					if from == "" && path != "<>" || from != "" && (!strings.HasPrefix(path, "<SRS0=") || !strings.HasSuffix(path, "@"+domain+">")) {
						t.Errorf("%s from %q: reverse-path %s", to, from, path)
					}
					if want := rcpt + ` (1 "rfc822;` + to + `" env) ` + to; rest != want { // 1 is NEVER
						t.Errorf("%s from %q: %s, want %s", to, from, rest, want)
					}
				}
			}
		}
		if n := len(o.inbox(o.a)); n != 3*len(all) {
			t.Errorf("the administrator has %d", n)
		}
	})
}

// A stop between the forwarded message and the end of its row sends nothing twice.
func TestARepeatedAttemptForwardsOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOffice(t)
		o.person("eve@ours.test", true, "eve@far.test")
		id := o.receive("alice@sender.test", "eve@ours.test", "", 0)
		claims, err := o.store.Queue().Claim(t.Context(), "node/lost", false, 10, time.Minute)
		if err != nil || len(claims) != 1 || claims[0].Message.ID != id {
			t.Fatal(claims, err)
		}
		for range 2 {
			if r, err := o.forwarder.Deliver(t.Context(), queue.Job{Claim: claims[0], To: route.Ours()}); err != nil || r[0].Fate != queue.Delivered || !r[0].Aware {
				t.Fatalf("%+v, %v", r, err)
			}
		}
		time.Sleep(2 * time.Minute) // the lease ends
		if got := o.work(); strings.Count(got, "->") != 1 {
			t.Errorf("left:\n%s", got)
		}
	})
}

// Neither does it with mail older than accept keys are kept, such as comes out
// of quarantine.
func TestARepeatedAttemptForwardsOldMailOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOffice(t)
		o.person("eve@ours.test", true, "eve@far.test")
		o.receive("alice@sender.test", "eve@ours.test", "", 0)
		claims, err := o.store.Queue().Claim(t.Context(), "node/lost", false, 10, 20*24*time.Hour)
		if err != nil || len(claims) != 1 {
			t.Fatal(claims, err)
		}
		time.Sleep(10 * 24 * time.Hour)
		attempt := func() {
			t.Helper()
			if r, err := o.forwarder.Deliver(t.Context(), queue.Job{Claim: claims[0], To: route.Ours()}); err != nil || r[0].Fate != queue.Delivered {
				t.Fatalf("%+v, %v", r, err)
			}
		}
		attempt()
		if got := o.work(); strings.Count(got, "->") != 1 {
			t.Errorf("left:\n%s", got)
		}
		o.must(o.people.RemoveAccount(t.Context(), o.person("dan@ours.test", false))) // the sweeper has something to do
		synctest.Wait()
		attempt()
		if got := o.work(); got != "" {
			t.Errorf("left again:\n%s", got)
		}
	})
}

// What an address means is asked again when its mail goes on.
func TestTheNewestRuleDecidesAboutForwarding(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOffice(t)
		eve := o.person("eve@ours.test", true, "eve@far.test")
		gone := o.person("gone@ours.test", true, "gone@far.test")
		off := o.person("off@ours.test", true, "off@far.test")
		for _, to := range []string{"eve@ours.test", "gone@ours.test", "off@ours.test"} {
			o.receive("alice@sender.test", to, "", 0)
		}
		o.set.Forwarding = false
		o.must(o.people.RemoveAccount(t.Context(), gone))
		row, err := o.store.Directory().GetAccount(t.Context(), off)
		o.must(err)
		row.Disabled = true
		o.must(o.people.SetAccount(t.Context(), row))
		if got := o.work(); got != "" {
			t.Errorf("left: %s", got)
		}
		if in := o.inbox(eve); len(in) != 1 || strings.Count(in[0], "Delivered-To:") != 1 {
			t.Errorf("eve has %q", in)
		}
		var ends []string
		for _, e := range o.done {
			if e.Result.Fate != queue.Delivered {
				ends = append(ends, fmt.Sprint(e.Recipient.Address, " ", e.Result.Reply.Enhanced))
			}
		}
		slices.Sort(ends)
		if want := []string{"gone@ours.test 5.1.1", "off@ours.test 4.2.1"}; !slices.Equal(slices.Compact(ends), want) {
			t.Errorf("%q", ends)
		}
	})
}
