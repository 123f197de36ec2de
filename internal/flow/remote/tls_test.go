package remote

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"
	"strings"
	"testing"

	"posthorn/internal/base/event"
	"posthorn/internal/flow/queue"
	"posthorn/internal/flow/route"
	"posthorn/internal/state/store"
)

// Parts of dialogues with TLS.
const (
	offer    = "S: 220 mx\nC: EHLO me.test\nS: 250-mx\\n250 STARTTLS\n"
	startTLS = offer + "C: STARTTLS\nS: 220 go\nTLS\nC: EHLO me.test\n"
	secured  = startTLS + "S: 250-mx\\n250 REQUIRETLS\n"
)

// logged makes the world keep its log lines.
func (w *world) logged() *bytes.Buffer {
	var b bytes.Buffer
	w.d.o.Log = event.New(event.Handler(&b, event.Options{}))
	return &b
}

func TestTLSIsUsedWhereItIsOffered(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{"mx.far.test": "TLS 1.3 verified", "other.test": "TLS 1.3 unverified"} {
		inWorld(t, func(w *world) {
			log := w.logged()
			w.certify(name)
			w.one(secured + send + bye)
			w.want(job(text), false, "delivered 250 2.0.0")
			if !strings.Contains(log.String(), want) {
				t.Errorf("log %q lacks %q", log, want)
			}
		})
	}
}

func TestAFailedHandshakeFallsBackOnlyWhereItMay(t *testing.T) {
	t.Parallel()
	const garbage = offer + "C: STARTTLS\nS: 220 go\nraw nonsense nonsense nonsense\nstall"
	inWorld(t, func(w *world) {
		w.one(garbage, offer+send+bye)
		w.want(job(text), false, "delivered 250 2.0.0")
		w.wantDialled("1 1")
	})
	inWorld(t, func(w *world) {
		w.set.ClearFallback = false
		w.one(garbage)
		w.want(job(text), true, "deferred 451 4.7.5")
		w.wantDialled("1")
	})
	inWorld(t, func(w *world) {
		w.one(garbage)
		w.signed = true
		j := job(text)
		j.Claim.Message.RequireTLS = true
		w.want(j, false, "deferred 451 4.7.5")
		w.wantDialled("1")
	})
	inWorld(t, func(w *world) { // 454 leaves the connection as it is
		w.one(offer + "C: STARTTLS\nS: 454 not now\n" + send + bye)
		w.want(job(text), false, "delivered 250 2.0.0")
	})
	inWorld(t, func(w *world) {
		w.set.ClearFallback = false
		w.one(offer + "C: STARTTLS\nS: 454 not now")
		w.want(job(text), true, "deferred 451 4.7.4")
	})
}

// TestWhatWasSaidBeforeTLSIsForgotten: CVE-2011-0411, row 19.
func TestWhatWasSaidBeforeTLSIsForgotten(t *testing.T) {
	t.Parallel()
	inWorld(t, func(w *world) {
		w.certify("mx.far.test")
		// The injected reply would be taken for that of EHLO.
		w.one(offer + "C: STARTTLS\nraw 220 go\\n250-evil\\n250 SIZE 1\\n\nTLS\nC: EHLO me.test\nS: 250 mx\n" + send + bye)
		w.want(job(text), false, "delivered 250 2.0.0")
	})
	inWorld(t, func(w *world) { // what was offered in clear text does not count
		w.certify("mx.far.test")
		w.one("S: 220 mx\nC: EHLO me.test\nS: 250-mx\\n250-STARTTLS\\n250 8BITMIME\nC: STARTTLS\nS: 220 go\nTLS\nC: EHLO me.test\nS: 250 mx\n" + bye)
		w.want(job("x: hällo\r\n\r\ny\r\n"), false, "failed 554 5.6.3")
	})
}

func TestRequireTLSIsKeptToTheEnd(t *testing.T) {
	t.Parallel()
	const mail = "C: MAIL FROM:<a@here.test> REQUIRETLS\nS: 250 ok\nC: RCPT TO:<b@far.test>\nS: 250 ok\nC: DATA\nS: 354 go\nD\nS: 250 ok\n"
	for name, c := range map[string]struct {
		cert, dialogue string
		unsigned       bool
		want           string
	}{
		"all is well":           {cert: "mx.far.test", dialogue: secured + mail + bye, want: "delivered 250 2.0.0"},
		"no STARTTLS":           {cert: "mx.far.test", dialogue: hello, want: "failed 550 5.7.10"},
		"wrong certificate":     {cert: "other.test", dialogue: secured, want: "failed 550 5.7.10"},
		"not taken on":          {cert: "mx.far.test", dialogue: startTLS + "S: 250 mx", want: "failed 550 5.7.30"},
		"offered in clear only": {cert: "mx.far.test", dialogue: strings.Replace(startTLS, "250 STARTTLS", `250-REQUIRETLS\n250 STARTTLS`, 1) + "S: 250 mx", want: "failed 550 5.7.30"},
		"the name is hearsay":   {cert: "mx.far.test", dialogue: secured, unsigned: true, want: "failed 550 5.7.10"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inWorld(t, func(w *world) {
				w.certify(c.cert)
				w.signed = !c.unsigned
				w.one(c.dialogue)
				j := job(text)
				j.Claim.Message.RequireTLS = true
				w.want(j, false, c.want)
			})
		})
	}
	inWorld(t, func(w *world) { // another host may still do
		w.certify("b.test")
		w.signed = true
		w.one(hello)
		w.mx["far.test"], w.addr["b.test"] = "1 mx.far.test,2 b.test", "192.0.2.2"
		w.hosts["192.0.2.2:25"] = []string{secured + mail + bye}
		j := job(text)
		j.Claim.Message.RequireTLS = true
		w.want(j, false, "delivered 250 2.0.0")
	})
	inWorld(t, func(w *world) { // and one that is down may later
		w.signed = true
		w.one(hello)
		w.mx["far.test"], w.addr["b.test"] = "1 b.test,2 mx.far.test", "192.0.2.2"
		j := job(text)
		j.Claim.Message.RequireTLS = true
		w.want(j, true, "deferred 451 4.4.1")
	})
}

// viaRelay makes a job go to a relay.
func viaRelay(r route.Relay) queue.Job {
	j := job(text)
	if r.Hosts == nil {
		r.Hosts = []string{"smart.test"}
	}
	if r.Port == 0 {
		r.Port = 25
	}
	j.To = route.Destination{Key: "relay smart.test", Relay: &r}
	return j
}

func TestARelayThatMustBeSecureIs(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		relay    route.Relay
		cert     string
		dialogue string
		want     string
		pin      bool
	}{
		"STARTTLS":               {relay: route.Relay{Secure: true}, cert: "smart.test", dialogue: secured + send + bye, want: "delivered 250 2.0.0"},
		"not offered":            {relay: route.Relay{Secure: true}, dialogue: hello, want: "deferred 451 4.7.4"},
		"refused":                {relay: route.Relay{Secure: true}, dialogue: offer + "C: STARTTLS\nS: 502 no", want: "deferred 451 4.7.4"},
		"another's certificate":  {relay: route.Relay{Secure: true}, cert: "evil.test", dialogue: secured, want: "deferred 451 4.7.5"},
		"any certificate":        {relay: route.Relay{Secure: true, AnyCertificate: true}, cert: "evil.test", dialogue: secured + send + bye, want: "delivered 250 2.0.0"},
		"broken handshake":       {relay: route.Relay{Secure: true}, dialogue: offer + "C: STARTTLS\nS: 220 go\nraw nonsense nonsense nonsense\nstall", want: "deferred 451 4.7.5"},
		"the fingerprint":        {relay: route.Relay{Secure: true}, cert: "evil.test", pin: true, dialogue: secured + send + bye, want: "delivered 250 2.0.0"},
		"another fingerprint":    {relay: route.Relay{Secure: true, Fingerprint: strings.Repeat("AB:", 31) + "AB"}, cert: "smart.test", dialogue: secured, want: "deferred 451 4.7.5"},
		"a fingerprint demands":  {relay: route.Relay{Fingerprint: strings.Repeat("AB:", 31) + "AB"}, dialogue: hello, want: "deferred 451 4.7.4"},
		"from the first octet":   {relay: route.Relay{Port: 465, Secure: true}, cert: "smart.test", dialogue: "TLS\n" + hello + send + bye, want: "delivered 250 2.0.0"},
		"the same, evil":         {relay: route.Relay{Port: 465, Secure: true}, cert: "evil.test", dialogue: "TLS\n" + hello, want: "deferred 451 4.7.5"},
		"465 and not secure":     {relay: route.Relay{Port: 465}, cert: "evil.test", dialogue: "TLS\n" + hello + send + bye, want: "delivered 250 2.0.0"},
		"a cipher of old":        {relay: route.Relay{Secure: true}, cert: "smart.test", dialogue: strings.Replace(secured, "TLS\nC: EHLO", "oldTLS\nC: EHLO", 1), want: "deferred 451 4.7.5"},
		"better than clear text": {relay: route.Relay{}, cert: "smart.test", dialogue: strings.Replace(secured, "TLS\nC: EHLO", "oldTLS\nC: EHLO", 1) + send + bye, want: "delivered 250 2.0.0"},
		"465 in clear text":      {relay: route.Relay{Port: 465}, dialogue: "S: 220 mx\nstall", want: "deferred 451 4.7.5"},
		"opportunistic":          {relay: route.Relay{}, cert: "evil.test", dialogue: secured + send + bye, want: "delivered 250 2.0.0"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inWorld(t, func(w *world) {
				w.certify(c.cert)
				if c.pin {
					c.relay.Fingerprint = fmt.Sprintf("%X", sha256.Sum256(w.cert.Certificate[0]))
				}
				log := w.logged()
				w.addr["smart.test"] = "192.0.2.1"
				j := viaRelay(c.relay)
				w.hosts[fmt.Sprintf("192.0.2.1:%d", j.To.Relay.Port)] = []string{c.dialogue}
				outage := strings.HasPrefix(c.want, "deferred")
				w.want(j, outage, c.want)
				if len(w.dialled) != 1 {
					t.Errorf("called %q", w.dialled)
				}
				if alarm := strings.Contains(log.String(), event.QueueError.String()); alarm != outage {
					t.Errorf("alarm %v: %s", alarm, log)
				}
			})
		})
	}
}

func TestARelayIsAskedForNothingButItsAddress(t *testing.T) {
	t.Parallel()
	inWorld(t, func(w *world) {
		w.addr["a.test"], w.addr["b.test"] = "2001:db8::1,192.0.2.1", "192.0.2.2"
		w.hosts["192.0.2.2:587"] = []string{hello + send + bye}
		w.want(viaRelay(route.Relay{Hosts: []string{"a.test", "b.test", "c.test"}, Port: 587}), false, "delivered 250 2.0.0")
		if got := strings.Join(w.looked, ","); got != "A a.test,A b.test" {
			t.Errorf("asked %q", got)
		}
		if got := strings.Join(w.dialled, ","); got != "[2001:db8::1]:587,192.0.2.1:587,192.0.2.2:587" {
			t.Errorf("called %q", got)
		}
	})
	inWorld(t, func(w *world) {
		w.hosts["[2001:db8::1]:25"] = []string{hello + send + bye}
		w.want(viaRelay(route.Relay{Hosts: []string{"192.0.2.9", "[2001:db8::1]"}}), false, "delivered 250 2.0.0")
		if len(w.looked) > 0 {
			t.Errorf("asked %q", w.looked)
		}
	})
}

// TestARelaysFaultIsNeverTheMessages: nothing bounces because a relay is
// unreachable, unknown or badly set up.
func TestARelaysFaultIsNeverTheMessages(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		relay    route.Relay
		dialogue string
		want     string
	}{
		"no such host":  {route.Relay{Hosts: []string{"none.test"}}, "", "deferred 451 4.4.4"},
		"no host":       {route.Relay{Hosts: []string{}}, "", "deferred 451 4.3.5"},
		"ourselves":     {route.Relay{Hosts: []string{"127.0.0.1"}}, "", "deferred 451 4.4.6"},
		"down":          {route.Relay{}, "", "deferred 451 4.4.1"},
		"521":           {route.Relay{}, "S: 521 no mail here", "deferred 451 4.3.2"},
		"554":           {route.Relay{}, "S: 554 5.7.1 you are blocked", "deferred 451 4.7.1"},
		"bad password":  {route.Relay{User: "u", Password: "p", ClearLogin: true}, "S: 220 mx\nC: EHLO me.test\nS: 250-mx\\n250 AUTH PLAIN\nC: AUTH PLAIN AHUAcA==\nS: 535 5.7.8 wrong", "deferred 451 4.7.8"},
		"busy":          {route.Relay{User: "u", Password: "p", ClearLogin: true}, "S: 220 mx\nC: EHLO me.test\nS: 250-mx\\n250 AUTH LOGIN\nC: AUTH LOGIN\nS: 454 4.7.0 busy", "deferred 454 4.7.0"},
		"no login":      {route.Relay{User: "u", Password: "p"}, hello, "deferred 451 4.7.0"},
		"clear text":    {route.Relay{User: "u", Password: "p"}, "S: 220 mx\nC: EHLO me.test\nS: 250-mx\\n250 AUTH PLAIN LOGIN", "deferred 451 4.7.4"},
		"false server":  {route.Relay{User: "u", Password: "p"}, "S: 220 mx\nC: EHLO me.test\nS: 250-mx\\n250 AUTH SCRAM-SHA-256\nC: AUTH SCRAM-SHA-256 *\nS: 235 come in", "deferred 451 4.7.0"},
		"odd challenge": {route.Relay{User: "u", Password: "p"}, "S: 220 mx\nC: EHLO me.test\nS: 250-mx\\n250 AUTH SCRAM-SHA-256\nC: AUTH SCRAM-SHA-256 *\nS: 334 bm9uc2Vuc2U=\nC: [*]\nS: 501 ok", "deferred 451 4.7.0"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inWorld(t, func(w *world) {
				log := w.logged()
				w.addr["smart.test"] = "192.0.2.1"
				if c.dialogue != "" {
					w.hosts["192.0.2.1:25"] = []string{c.dialogue}
				}
				w.want(viaRelay(c.relay), true, c.want)
				if c.relay.User != "" && !strings.Contains(log.String(), event.QueueError.String()) {
					t.Errorf("no alarm: %s", log)
				}
				if strings.Contains(log.String(), "AHUAcA") {
					t.Error("the password is in the log")
				}
			})
		})
	}
}

// Where TLS is not demanded, anybody on the way may offer it.
func TestAPasswordIsNotShownToAnyCertificate(t *testing.T) {
	t.Parallel()
	const offered = "C: EHLO me.test\nS: 250-mx\\n250 AUTH PLAIN\n"
	for name, c := range map[string]struct {
		cert  string
		relay route.Relay
		shown bool
	}{
		"another's certificate":               {cert: "other.test"},
		"the relay's own":                     {cert: "smart.test", shown: true},
		"another's, where any is good":        {cert: "other.test", relay: route.Relay{AnyCertificate: true}, shown: true},
		"another's, where clear text will do": {cert: "other.test", relay: route.Relay{ClearLogin: true}, shown: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inWorld(t, func(w *world) {
				log := w.logged()
				w.certify(c.cert)
				w.addr["smart.test"] = "192.0.2.1"
				dialogue, want := startTLS+strings.TrimPrefix(offered, "C: EHLO me.test\n"), "deferred 451 4.7.4"
				if c.shown {
					dialogue, want = dialogue+"C: AUTH PLAIN AHUAcA==\nS: 535 5.7.8 wrong", "deferred 451 4.7.8"
				}
				w.hosts["192.0.2.1:25"] = []string{dialogue}
				c.relay.User, c.relay.Password = "u", "p"
				w.want(viaRelay(c.relay), true, want)
				if !c.shown && !strings.Contains(log.String(), "fingerprint") {
					t.Errorf("no remedy: %s", log)
				}
			})
		})
	}
}

func TestAWrongPasswordIsTriedOnce(t *testing.T) {
	t.Parallel()
	inWorld(t, func(w *world) {
		const wrong = "S: 220 mx\nC: EHLO me.test\nS: 250-mx\\n250 AUTH PLAIN\nC: AUTH PLAIN AHUAcA==\nS: 535 5.7.8 wrong"
		w.hosts["192.0.2.1:25"], w.hosts["192.0.2.2:25"] = []string{wrong}, []string{wrong}
		w.want(viaRelay(route.Relay{Hosts: []string{"192.0.2.1", "192.0.2.2"}, User: "u", Password: "p", ClearLogin: true}), true, "deferred 451 4.7.8")
		w.wantDialled("1")
	})
}

func TestARelaysRefusalOfTheMessageCounts(t *testing.T) {
	t.Parallel()
	inWorld(t, func(w *world) {
		w.hosts["192.0.2.1:25"] = []string{pipe + rcpts("250 ok", "550 5.1.1 no") + "C: RSET\nS: 250 ok\n" + bye}
		w.want(viaRelay(route.Relay{Hosts: []string{"192.0.2.1"}}), false, "failed 550 5.1.1")
	})
	inWorld(t, func(w *world) { // REQUIRETLS over a relay that was not asked for TLS
		w.hosts["192.0.2.1:25"] = []string{hello}
		j := viaRelay(route.Relay{Hosts: []string{"192.0.2.1"}})
		j.Claim.Message.RequireTLS = true
		w.want(j, false, "failed 550 5.7.10")
	})
}

var _ store.Body = memBody{}
var _ interface {
	Deliver(context.Context, queue.Job) ([]queue.Result, error)
} = (*Deliverer)(nil)

func TestObjectionsToACertificateAreInWords(t *testing.T) {
	t.Parallel()
	for want, err := range map[string]error{
		"it is for another name":                x509.HostnameError{Certificate: &x509.Certificate{}, Host: "far.test"},
		"no authority known here has signed it": x509.UnknownAuthorityError{},
		"it has expired, or is not valid yet":   x509.CertificateInvalidError{Reason: x509.Expired},
		"it is not valid for a server":          x509.CertificateInvalidError{Reason: x509.IncompatibleUsage},
		"it is another than the one expected":   errors.New("its fingerprint is ab"),
	} {
		if got := objection(errors.Join(errHandshake, errCertificate, err)); got != want {
			t.Errorf("%v: %q, want %q", err, got, want)
		}
	}
}
