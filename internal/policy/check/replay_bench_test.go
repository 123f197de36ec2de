package check

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"

	"posthorn/internal/base/ident"
	"posthorn/internal/base/mail"
	"posthorn/internal/base/unit"
	"posthorn/internal/policy"
	"posthorn/internal/state/record"
	"posthorn/internal/state/setting"
	"posthorn/internal/state/store"
)

// benchAttempts is how many attempts the replay of a week has to judge.
const benchAttempts = 100_000

// BenchmarkReplay judges 100,000 recorded attempts of many clients and senders
// anew, from the file of records.
func BenchmarkReplay(b *testing.B) {
	file := filepath.Join(b.TempDir(), "records.db")
	r, err := record.Open(record.Options{Path: file, Failed: func(err error) { b.Error(err) },
		Settings: func() record.Settings { return record.Settings{MaxAge: 720 * time.Hour, MaxSize: 4 * unit.GB} }})
	if err != nil {
		b.Fatal(err)
	}
	defer func() {
		if err := r.Close(); err != nil {
			b.Error(err)
		}
	}()
	fill(b, r)
	s := setting.Defaults[Settings](setting.Recommended)
	s.Names.Client, s.Greylist.Mode = policy.Enforce, policy.Off
	pipeline := policy.NewPipeline(s.Rules())
	var attempts, differ, unknown int
	for b.Loop() {
		attempts, differ, unknown = 0, 0, 0
		err := r.Each(context.Background(), record.Query{Since: time.Now().Add(-time.Hour)}, func(a *record.Attempt) bool {
			attempts++
			switch got := policy.Replay(pipeline, nil, a); {
			case got.Unknown:
				unknown++
			case got.Differs():
				differ++
			}
			return true
		})
		if err != nil {
			b.Fatal(err)
		}
	}
	if attempts != benchAttempts || differ == 0 || differ+unknown > attempts/2 {
		b.Errorf("%d attempts, %d differ, %d unknown", attempts, differ, unknown)
	}
	size := int64(0)
	for _, tail := range []string{"", "-wal"} {
		if info, err := os.Stat(file + tail); err == nil {
			size += info.Size()
		}
	}
	b.ReportMetric(float64(size)/benchAttempts, "octets/attempt")
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/benchAttempts, "ns/attempt")
}

// fill records sessions as they come: most are mail that is accepted, some have
// no name in DNS, some name nobody.
func fill(b *testing.B, r *record.Recorder) {
	b.Helper()
	s := setting.Defaults[Settings](setting.Recommended)
	s.Greylist.Mode = policy.Observe
	pipeline := policy.NewPipeline(s.Rules())
	p := newScripted()
	ids := ident.NewSource()
	p.world.set("spf", "pass")
	p.world.set("dkim", "pass away.test")
	p.world.set("dmarc", "pass away.test none")
	for i := range benchAttempts {
		domain := fmt.Sprintf("d%d.away.test", i%3000)
		client := netip.AddrFrom4([4]byte{10, byte(i % 7), byte(i % 251), byte(i % 241)})
		p.world.set("domain "+domain, "found")
		p.world.set("reverse "+client.String(), "found mail."+domain)
		if i%20 == 3 {
			p.world.set("reverse "+client.String(), "absent")
		}
		f := &policy.Facts{Time: time.Now(), Session: ids.New(), Listener: "smtp", Client: client, Sources: p.sources(), Helo: "mail." + domain,
			Sender: mail.Address{Local: fmt.Sprintf("user%d", i%17), Domain: domain}, DeclaredSize: unit.Size(2000 + i), Room: store.Room{Free: 1<<40 - int64(i)*4096, Total: 1 << 41}}
		session(r, pipeline, f, ids, i)
		if i%500 == 0 { // sessions never wait for the disk; here nobody else gives it time
			if err := r.Flush(context.Background()); err != nil {
				b.Fatal(err)
			}
		}
	}
	if err := r.Flush(context.Background()); err != nil || r.Stats().Dropped > 0 {
		b.Fatal(err, r.Stats())
	}
}

// session records one session with one message.
func session(r *record.Recorder, p *policy.Pipeline, f *policy.Facts, ids *ident.Source, i int) {
	ctx := context.Background()
	p.Classify(f)
	t := r.Trace(record.Session{ID: f.Session, Begin: f.Time, Listener: f.Listener, Client: f.Client, Kind: f.Kind.String(), Trust: f.Trust.String(), Helo: f.Helo, TLS: "TLS 1.3 TLS_AES_128_GCM_SHA256"})
	judge := func(stage policy.Stage, argument, good string) policy.Decision {
		d := p.Judge(ctx, stage, f)
		s := t.Spare()
		if s.Verb, s.Argument, s.Reply = verbOf[stage], argument, good; d.Refuses() {
			s.Reply = d.Reply.String()
		}
		d.Record(s)
		t.Step(s)
		return d
	}
	judge(policy.Connect, "", "")
	p.Listed(ctx, f)
	judge(policy.Greeting, "", "")
	judge(policy.Helo, f.Helo, "")
	f.Message = ids.New()
	t.Open(f.Message)
	t.HasSender, t.Sender = true, f.Sender.String()
	judge(policy.Mail, "FROM:"+f.Sender.Path()+" SIZE="+fmt.Sprint(int64(f.DeclaredSize)), "250 2.1.0 Ok")
	f.Recipient = mail.Address{Local: "bob", Domain: "example.test"}
	if i%10 == 0 {
		f.Recipient.Local = fmt.Sprintf("nobody%d", i)
	}
	f.Resolution = resolve(f.Recipient)
	t.Recipients = append(t.Recipients, f.Recipient.String())
	if d := judge(policy.Rcpt, f.Recipient.Path(), "250 2.1.5 Ok"); d.Refuses() {
		t.Close(record.Refused)
		t.Done()
		return
	}
	f.Accepted++
	judge(policy.Data, "", "")
	f.Size, f.Hops, f.From, f.Content = f.DeclaredSize, 2, []mail.Address{f.Sender}, &policy.Message{}
	t.Size, t.Hops, t.Authors = int64(f.Size), 2, []string{f.Sender.String()}
	judge(policy.Content, "", "250 2.0.0 queued as "+f.Message.String())
	t.Close(record.Accepted)
	t.Done()
}
