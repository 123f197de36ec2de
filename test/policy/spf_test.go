package policy_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	mdns "github.com/miekg/dns"
	"go.yaml.in/yaml/v3"

	"posthorn/internal/base/mail"
	"posthorn/internal/testkit/authority"
)

// words is one text or several.
type words []string

func (l *words) UnmarshalYAML(n *yaml.Node) error {
	if n.Kind == yaml.ScalarNode {
		*l = words{n.Value}
		return nil
	}
	return n.Decode((*[]string)(l))
}

type scenario struct {
	Description string
	Tests       map[string]trial
	Zone        map[string][]yaml.Node `yaml:"zonedata"`
}

type trial struct {
	Helo, Host  string
	MailFrom    string `yaml:"mailfrom"`
	Result      words
	Explanation string
}

// serve tells the zone data of a scenario. Records of type SPF stand for TXT
// where there are none.
func (s scenario) serve(a *authority.Authority) error {
	for name, nodes := range s.Zone {
		var old, txt []string
		seen := false
		owner := spelled(name)
		for _, n := range nodes {
			if n.Kind == yaml.ScalarNode {
				a.Behave(owner, failing())
				continue
			}
			kind, value := n.Content[0].Value, n.Content[1]
			switch kind {
			case "SPF", "TXT":
				var l words
				if err := value.Decode(&l); err != nil {
					return err
				}
				text := strings.Join(l, "")
				seen = seen || kind == "TXT"
				if kind == "SPF" {
					old = append(old, text)
				} else if text != "NONE" {
					txt = append(txt, text)
				}
			case "MX":
				a.Add(fmt.Sprintf("%s IN MX %s %s", owner, value.Content[0].Value, spelled(value.Content[1].Value)))
			case "A", "AAAA":
				a.Add(fmt.Sprintf("%s IN %s %s", owner, kind, value.Value))
			case "PTR", "CNAME":
				a.Add(fmt.Sprintf("%s IN %s %s", owner, kind, spelled(value.Value)))
			case "TIMEOUT", "SERVFAIL", "CNAMELOOP":
				a.Behave(owner, failing())
			default:
				return fmt.Errorf("record %s", kind)
			}
		}
		if !seen {
			txt = old
		}
		for _, text := range txt {
			a.Add(fmt.Sprintf("%s IN TXT %s", owner, quoted(text)))
		}
	}
	return nil
}

// failing is a name of which only the records that are there can be had.
func failing() authority.Behaviour {
	return authority.Behaviour{Answer: func(m *mdns.Msg) {
		if len(m.Answer) == 0 {
			m.Rcode = mdns.RcodeServerFailure
		}
	}}
}

// spelled is a name in a master file.
func spelled(name string) string {
	var b strings.Builder
	for _, c := range []byte(strings.TrimSuffix(name, ".")) {
		if strings.IndexByte(` "'();@\$`, c) >= 0 {
			b.WriteByte('\\')
		}
		b.WriteByte(c)
	}
	return b.String() + "."
}

// quoted is a text of many strings in a master file.
func quoted(text string) string {
	if text == "" {
		return `""`
	}
	var b strings.Builder
	for i, c := range []byte(text) {
		if i%20 == 0 {
			b.WriteString(`" "`)
		}
		if c < ' ' || c > '~' || c == '"' || c == '\\' {
			fmt.Fprintf(&b, `\%03d`, c)
			continue
		}
		b.WriteByte(c)
	}
	return b.String()[2:] + `"`
}

// unspeakable are tests whose names SMTP itself does not let pass, with what the
// client is told instead. SPF is never asked then: nothing comes in.
var unspeakable = map[string]string{
	"nolocalpart":         "501 5.1.7 Bad source route",          // <@example.net>: a route without an address
	"toolonglabel":        "501 5.1.7 Bad sender address syntax", // a label of 64 octets (RFC 1035 §2.3.4)
	"emptylabel":          "501 5.1.7 Bad sender address syntax", // two dots in a domain
	"invalid-hello-macro": "501 5.5.4 Not a host name",           // EHLO JUMPIN' JUPITER
}

// run plays one test as a session and compares what became of it.
func (c trial) run(w *world, name string) error {
	sender := "<" + c.MailFrom + ">"
	if at := strings.LastIndexByte(c.MailFrom, '@'); at > 0 { // a local part with spaces wants quotes
		sender = mail.Address{Local: c.MailFrom[:at], Domain: c.MailFrom[at+1:]}.Path()
	}
	said, err := w.send(letter{from: c.Host, helo: c.Helo, sender: sender, to: []string{"bob@example.test"}, content: plain})
	if err != nil {
		return err
	}
	if want, ok := unspeakable[name]; ok {
		if got := last(said).String(); got != want {
			return fmt.Errorf("told %q, want %q", got, want)
		}
		return nil
	}
	result, explanation, err := w.spf(said)
	if err != nil {
		return err
	}
	if !slices.Contains(c.Result, result) {
		return fmt.Errorf("%s, want %v", result, c.Result)
	}
	if want := strings.TrimPrefix(c.Explanation, "DEFAULT"); result == "fail" && c.Explanation != "" && !strings.EqualFold(explanation, want) {
		return fmt.Errorf("explained by %q, want %q", explanation, want)
	}
	return nil
}

// spf reads the result of a session from the reply or the stored message.
func (w *world) spf(said []reply) (result, explanation string, err error) {
	switch r := last(said); {
	case r.code == 550 && strings.HasPrefix(r.text, "5.7.23 "):
		_, explanation, _ = strings.Cut(r.text, " explains: ")
		return "fail", explanation, nil
	case r.code != 250:
		return "", "", fmt.Errorf("said was %v", said)
	}
	text, err := w.newest("bob")
	if err != nil {
		return "", "", err
	}
	first, _, _ := strings.Cut(text, "\r\n")
	for line := range strings.SplitSeq(text, "\r\n") {
		if value, ok := strings.CutPrefix(line, "Received-SPF: "); ok {
			return value, "", nil
		}
	}
	return "", "", errors.New("there is no Received-SPF field; the message begins with " + first)
}

// TestSuiteOfRFC7208OverSMTP runs the official suite through the front door: for
// each test a session with its client address, EHLO and MAIL FROM, whose result
// is read from the Received-SPF field of the message, or from the reply that
// refuses it (B1G-SPF-01, B1G-SPF-02, B1G-SPF-04). None is skipped.
func TestSuiteOfRFC7208OverSMTP(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../internal/wire/spf/testdata/rfc7208-tests.yml")
	if err != nil {
		t.Fatal(err)
	}
	count, silent := 0, 0
	for dec := yaml.NewDecoder(bytes.NewReader(text)); ; {
		var s scenario
		if err := dec.Decode(&s); err == io.EOF {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		t.Run(s.Description, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, "", "policy.greylist.mode off", "policy.origin.known off", "policy.origin.full off", "policy.authentic.mode off",
					"policy.names.client off", "policy.names.helo_full off", "policy.names.helo_known off", "smtp.errors.delay 0s", "ban.protocol_error false")
				defer w.close()
				if err := s.serve(w.zones); err != nil {
					t.Fatal(err)
				}
				for name, c := range s.Tests {
					count++
					if _, ok := unspeakable[name]; ok {
						silent++
					}
					if err := c.run(w, name); err != nil {
						t.Errorf("%s: %v", name, err)
					}
				}
			})
		})
	}
	if count < 190 || silent != len(unspeakable) {
		t.Errorf("%d tests, %d of %d that SMTP does not let pass", count, silent, len(unspeakable))
	}
}
