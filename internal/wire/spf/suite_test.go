package spf

import (
	"bytes"
	"context"
	"io"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"

	"posthorn/internal/base/mail"
)

// list is one text or several.
type list []string

func (l *list) UnmarshalYAML(n *yaml.Node) error {
	if n.Kind == yaml.ScalarNode {
		*l = list{n.Value}
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
	Result      list
	Explanation string
}

func (c trial) run(t *testing.T, r Resolver) {
	checker := Checker{Resolver: r, Receiver: "receiver.example"}
	at := strings.LastIndexByte(c.MailFrom, '@')
	sender := mail.Address{}
	if at >= 0 {
		sender = mail.Address{Local: c.MailFrom[:at], Domain: c.MailFrom[at+1:]}
	}
	client := Client{IP: netip.MustParseAddr(c.Host), Helo: c.Helo, Now: time.Unix(1400000000, 0)}
	o := checker.CheckMail(context.Background(), client, sender)
	if !slices.Contains(c.Result, string(o.Result)) {
		t.Errorf("%+v, want %v", o, c.Result)
	}
	want := strings.TrimPrefix(c.Explanation, "DEFAULT")
	if o.Result == Fail && c.Explanation != "" && !strings.EqualFold(o.Explanation, want) {
		t.Errorf("explanation %q, want %q", o.Explanation, want)
	}
	if decided := o.Err == nil; decided != (o.Mechanism != "") {
		t.Errorf("mechanism %q with error %v", o.Mechanism, o.Err)
	}
}

// TestSuiteOfRFC7208 runs the official suite, all of it: marks of other
// people's tests in its file ("skip") are not heeded. Each test is asked of
// memory, then of name servers by way of base/dns.
func TestSuiteOfRFC7208(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("testdata/rfc7208-tests.yml")
	if err != nil {
		t.Fatal(err)
	}
	count := 0
	for dec := yaml.NewDecoder(bytes.NewReader(text)); ; {
		var s scenario
		if err := dec.Decode(&s); err == io.EOF {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		z := readZone(t, s)
		served := serve(t, z)
		for name, c := range s.Tests {
			count++
			for by, r := range map[string]Resolver{"memory": z, "servers": served} {
				t.Run(s.Description+"/"+name+"/"+by, func(t *testing.T) { c.run(t, r) })
			}
		}
	}
	if count < 190 {
		t.Errorf("only %d tests in the suite", count)
	}
}
