package setting

import (
	"errors"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"posthorn/internal/base/mail"
	"posthorn/internal/base/unit"
)

// door is a group with every kind of field.
type door struct {
	On       bool           `default:"true" factory:"false"`
	Count    int            `default:"10" min:"1" max:"100" trial:"50"`
	Score    float64        `default:"2.5" min:"0" max:"10"`
	Banner   string         `default:"hello there" max:"40"`
	Mode     string         `default:"enforce" oneof:"off,observe,enforce"`
	Wait     time.Duration  `default:"60s" min:"1s" max:"35d"`
	Size     unit.Size      `default:"50MB" min:"1KB"`
	Local    netip.Prefix   `default:"127.0.0.0/8"`
	Networks []netip.Prefix `default:"10.0.0.0/8, 192.168.0.0/16" max:"4"`
	Admin    mail.Address   `default:""`
	Copies   []mail.Address `default:""`
	Domain   string         `default:"" kind:"domain"`
	Domains  []string       `default:"example.test" kind:"domain"`
	Scanner  string         `default:"" kind:"hostport"`
	Hook     string         `default:"" kind:"url"`
	Words    []string       `default:"" oneof:"a,b,c"`
	Names    []string       `default:""`
	Password Secret         `default:""`
	Token    string         `default:"" secret:"true"`
	Footer   string         `default:"" lines:"true"`
	Listen   string         `default:"" restart:"true"`
	Limits   doorLimits
}

type doorLimits struct {
	Low  int `default:"1"`
	High int `default:"9"`
}

func (d *door) Validate() error {
	if d.Limits.Low > d.Limits.High {
		return errors.New("limits.low is above limits.high; lower it")
	}
	return nil
}

func TestDefaultsOfProfilesAreDeclaredByTags(t *testing.T) {
	t.Parallel()
	r, f, q := Defaults[door](Recommended), Defaults[door](Factory), Defaults[door](Trial)
	if !r.On || f.On || !q.On || r.Count != 10 || f.Count != 10 || q.Count != 50 {
		t.Errorf("profiles: %+v / %+v / %+v", r, f, q)
	}
	if r.Wait != time.Minute || r.Size != 50*unit.MB || len(r.Networks) != 2 || r.Domains[0] != "example.test" || r.Limits.High != 9 {
		t.Errorf("defaults: %+v", r)
	}
}

func TestOneStructServesSeveralGroups(t *testing.T) {
	t.Parallel()
	r := NewRegistry()
	a := Register[doorLimits](r, "a")
	b := Register[doorLimits](r, "b", Default{Field: "low", Recommended: "3", Trial: "4"})
	if a.Get().Low != 1 || b.Get().Low != 3 || r.byName["b.low"].def(Trial) != "4" || r.byName["b.low"].def(Factory) != "3" {
		t.Errorf("low is %d and %d", a.Get().Low, b.Get().Low)
	}
}

func TestContradictoryDeclarationsPanic(t *testing.T) {
	t.Parallel()
	for name, register := range map[string]func(r *Registry){
		"no default": func(r *Registry) { Register[struct{ A int }](r, "x") },
		"bad default": func(r *Registry) {
			Register[struct {
				A int `default:"x"`
			}](r, "x")
		},
		"out of range": func(r *Registry) {
			Register[struct {
				A int `default:"1" min:"2"`
			}](r, "x")
		},
		"profile": func(r *Registry) {
			Register[struct {
				A int `default:"1" max:"2" trial:"3"`
			}](r, "x")
		},
		"bad range": func(r *Registry) {
			Register[struct {
				A int `default:"1" min:"low"`
			}](r, "x")
		},
		"no order": func(r *Registry) {
			Register[struct {
				A bool `default:"true" min:"false"`
			}](r, "x")
		},
		"not one of": func(r *Registry) {
			Register[struct {
				A string `default:"c" oneof:"a,b"`
			}](r, "x")
		},
		"unknown kind": func(r *Registry) {
			Register[struct {
				A string `default:"" kind:"shape"`
			}](r, "x")
		},
		"unknown type": func(r *Registry) {
			Register[struct {
				A chan int `default:""`
			}](r, "x")
		},
		"not exported": func(r *Registry) {
			Register[struct {
				a int `default:"1"`
			}](r, "x")
		},
		"twice":          func(r *Registry) { Register[doorLimits](r, "x"); Register[doorLimits](r, "x") },
		"no struct":      func(r *Registry) { Register[int](r, "x") },
		"unknown to set": func(r *Registry) { Register[doorLimits](r, "x", Default{Field: "lo", Recommended: "1"}) },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: registered", name)
				}
			}()
			register(NewRegistry())
		}()
	}
}

func TestNamesAreFieldsInLowerCase(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"GreetingDelay": "greeting_delay", "TLSOnly": "tls_only", "MaxIPs": "max_ips", "On": "on", "SMTPUTF8": "smtputf8", "UseDNS": "use_dns", "A": "a",
	} {
		if got := snake(in); got != want {
			t.Errorf("snake(%s) = %s, want %s", in, got, want)
		}
	}
}

func TestValuesAreReadCheckedAndWrittenInNormalForm(t *testing.T) {
	t.Parallel()
	g, err := declare(reflect.TypeFor[door](), "", nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	field := func(name string) *field {
		i := slices.IndexFunc(g.fields, func(f *field) bool { return f.name == name })
		return g.fields[i]
	}
	for _, c := range []struct{ name, in, want string }{
		{"on", "off", "false"}, {"on", " YES ", "true"}, {"count", "7", "7"}, {"score", "3", "3.0"},
		{"wait", "1d12h", "1d12h"}, {"wait", "120s", "2m"}, {"wait", "840h", "35d"}, {"wait", "90m", "1h30m"},
		{"size", "2048", "2KB"}, {"local", "10.1.2.3/255.255.255.0", "10.1.2.0/24"}, {"local", "192.0.2.7", "192.0.2.7/32"},
		{"local", "::ffff:192.0.2.0/120", "192.0.2.0/24"}, {"local", "2001:DB8::1", "2001:db8::1/128"},
		{"networks", "192.0.2.1 , 198.51.100.0/24", "192.0.2.1/32, 198.51.100.0/24"}, {"networks", "", ""}, {"networks", `["::1"]`, "::1/128"},
		{"admin", "Bob@Example.TEST", "Bob@example.test"}, {"admin", "", ""}, {"copies", "a@b.test c@d.test", "a@b.test, c@d.test"},
		{"domain", "BÜCHER.example", "xn--bcher-kva.example"}, {"domains", "A.test,b.test", "a.test, b.test"},
		{"scanner", "localhost:3310", "localhost:3310"}, {"scanner", "[::1]:3310", "[::1]:3310"}, {"hook", "https://h.test/x", "https://h.test/x"},
		{"mode", "off", "off"}, {"words", "a b", "a, b"}, {"names", `["a b", "c,d", ""]`, `["a b", "c,d", ""]`},
		{"footer", "a\r\n b", "a\n b"}, {"token", " x ", " x "}, {"banner", " x ", "x"},
	} {
		group := reflect.New(g.typ).Elem()
		f := field(c.name)
		if err := f.parse(c.in, group); err != nil {
			t.Errorf("%s = %q: %v", c.name, c.in, err)
			continue
		}
		got := f.format(group)
		if got != c.want {
			t.Errorf("%s = %q reads as %q, want %q", c.name, c.in, got, c.want)
		}
		if err := f.parse(got, group); err != nil || f.format(group) != got {
			t.Errorf("%s: %q does not read back: %v", c.name, got, err)
		}
	}
	for _, c := range []struct{ name, in, want string }{
		{"on", "maybe", "neither"}, {"count", "0", "at least 1"}, {"count", "101", "at most 100"}, {"count", "1.5", "whole number"},
		{"score", "NaN", "not a number"}, {"score", "11", "at most 10"}, {"wait", "36d", "at most 35d"}, {"wait", "-1s", "not a time"},
		{"wait", "5 minutes", "not a time"}, {"wait", "999999999999d", "too long a time"}, {"size", "1", "at least 1KB"}, {"size", "x", "not a size"},
		{"local", "10.0.0.0/33", "not a network"}, {"local", "10.0.0.0/255.0.255.0", "not a network"}, {"local", "fe80::1%eth0", "not a network"},
		{"networks", "1.1.1.1,1.1.1.2,1.1.1.3,1.1.1.4,1.1.1.5", "at most 4"}, {"networks", `["1.1.1.1"`, "closing ]"},
		{"admin", "bob", "no @domain"}, {"domain", "a b", "not a domain name"}, {"scanner", "localhost", "host:port"}, {"hook", "file", "URL"},
		{"mode", "on", "one of off, observe, enforce"}, {"words", "a, d", "one of"}, {"banner", "a\nb", "control character"},
		{"banner", strings.Repeat("x", 41), "at most 40"}, {"banner", "\xff", "UTF-8"}, {"footer", "a\x00b", "control character"},
		{"names", strings.Repeat("x,", maxItems+1), "items"}, {"banner", strings.Repeat("x", maxText+1), "octets"},
	} {
		err := field(c.name).parse(c.in, reflect.New(g.typ).Elem())
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s = %.40q: %v, want …%s…", c.name, c.in, err, c.want)
		}
	}
}

func TestSecretsDoNotPrint(t *testing.T) {
	t.Parallel()
	type holder struct{ S Secret }
	h := holder{NewSecret("hunter2")}
	b, err := h.S.MarshalText()
	for _, s := range []string{h.S.String(), h.S.GoString(), h.S.LogValue().String(), string(b)} {
		if s != "set" || err != nil {
			t.Errorf("secret shows as %q, %v", s, err)
		}
	}
	if NewSecret("").String() != "not set" || h.S.Reveal() != "hunter2" {
		t.Error("empty or revealed secret is wrong")
	}
}

func BenchmarkGet(b *testing.B) {
	h := Register[door](NewRegistry(), "door")
	n := 0
	for b.Loop() {
		n += h.Get().Count
	}
	if n == 0 {
		b.Fatal("no values")
	}
}
