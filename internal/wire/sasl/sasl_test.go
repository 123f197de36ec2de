package sasl

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"posthorn/internal/base/passwd"
)

var all = Mechanisms(Offer{TLS: true, Login: true, Scram: true, SHA1: true, Binding: true})

func names(list []Mechanism) []string {
	out := make([]string, len(list))
	for i, m := range list {
		out[i] = string(m)
	}
	return out
}

// book is a Verifier over a map; scram verifiers are made with few rounds.
type book struct {
	passwords map[string]string
	salt      string
	err       error // a temporary failure
	asked     int
}

func (b *book) VerifyPassword(_ context.Context, name, password string) (string, error) {
	b.asked++
	if b.err != nil {
		return "", b.err
	}
	if want, ok := b.passwords[name]; !ok || want != password {
		return "", fmt.Errorf("book: %w", ErrCredentials)
	}
	return "account of " + name, nil
}

func (b *book) Scram(_ context.Context, name string, h passwd.ScramHash) (string, passwd.Scram, error) {
	b.asked++
	if b.err != nil {
		return "", passwd.Scram{}, b.err
	}
	password, ok := b.passwords[name]
	if !ok {
		return "", passwd.Scram{}, fmt.Errorf("book: %w", ErrCredentials)
	}
	s, err := passwd.DeriveScram(h, password, []byte(b.salt), passwd.MinIterations)
	return "account of " + name, s, err
}

func newBook() *book {
	return &book{
		passwords: map[string]string{"user": "pencil", "a,b=c": "pässwörd, = ", "ü@example.test": "x", "empty": ""},
		salt:      "salt of 16 octet",
	}
}

var binding = ChannelBinding{Exporter: []byte("exporter of the connection"), EndPoint: []byte("hash of the certificate")}

// talk runs both sides to the end and returns what each of them thinks.
func talk(t *testing.T, s Server, c Client, initial bool) (serverErr, clientErr error) {
	t.Helper()
	response, err := c.Start()
	if err != nil {
		return nil, err
	}
	if !initial || response == nil {
		if challenge, done, err := s.Next(t.Context(), nil); err != nil || done {
			return err, nil
		} else if response == nil {
			if response, err = c.Next(challenge); err != nil {
				return nil, err
			}
		} else if len(challenge) != 0 {
			t.Errorf("first challenge is %q", challenge)
		}
	}
	for range 5 {
		challenge, done, err := s.Next(t.Context(), response)
		if err != nil {
			return err, c.Finish()
		}
		if done {
			return nil, c.Finish()
		}
		if response, err = c.Next(challenge); err != nil {
			return nil, err
		}
	}
	t.Fatal("the exchange never ends")
	return nil, nil
}

func server(t *testing.T, m Mechanism, v Verifier) Server {
	t.Helper()
	s, err := NewServer(string(m), Config{Secret: []byte("secret"), Verifier: v, Offered: all, Binding: binding})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func client(t *testing.T, m Mechanism, c Credentials) Client {
	t.Helper()
	got, err := NewClient(m, c, names(all), binding)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func TestEveryMechanismLogsIn(t *testing.T) {
	t.Parallel()
	for _, m := range all {
		for _, c := range []Credentials{
			{Name: "user", Password: "pencil"}, {Name: "a,b=c", Password: "pässwörd, = "},
			{Name: "u\u0308@example.test", Password: "x"}, {Name: "user", Password: "pencil", Authzid: "shared,=box"},
		} {
			for _, initial := range []bool{true, false} {
				s, k := server(t, m, newBook()), client(t, m, c)
				if s.Identity() != (Identity{}) {
					t.Errorf("%s: identity before the end", m)
				}
				if se, ce := talk(t, s, k, initial); se != nil || ce != nil {
					t.Errorf("%s %q: server %v, client %v", m, c.Name, se, ce)
				}
				name := passwd.Prepare(c.Name)
				want := Identity{Mechanism: m, Account: "account of " + name, Authcid: name, Authzid: c.Authzid}
				if m == Login {
					want.Authzid = ""
				}
				if got := s.Identity(); got != want {
					t.Errorf("%s: %+v, want %+v", m, got, want)
				}
				if _, done, err := s.Next(t.Context(), []byte("more")); done || !errors.Is(err, ErrProtocol) {
					t.Errorf("%s after the end: %v, %v", m, done, err)
				}
			}
		}
	}
}

func TestWrongPasswordsAndUnknownNamesFailAlike(t *testing.T) {
	t.Parallel()
	for _, m := range all {
		var words []string
		for _, c := range []Credentials{
			{Name: "user", Password: "Pencil"}, {Name: "nobody", Password: "pencil"}, {Name: "empty", Password: ""}, {Name: "nobody", Password: ""},
		} {
			s, k := server(t, m, newBook()), client(t, m, c)
			if c.Password == "" && !m.Plaintext() {
				continue // a SCRAM verifier of the empty password is the caller's to refuse
			}
			se, ce := talk(t, s, k, true)
			if !errors.Is(se, ErrCredentials) {
				t.Errorf("%s %v: server %v, client %v", m, c, se, ce)
			}
			if !m.Plaintext() {
				words = append(words, se.Error())
				if !errors.Is(ce, ErrServer) {
					t.Errorf("%s: client believes the server: %v", m, ce)
				}
			}
			if s.Identity() != (Identity{}) {
				t.Errorf("%s: %+v after a failure", m, s.Identity())
			}
		}
		if len(slices.Compact(words)) > 1 {
			t.Errorf("%s: words differ: %q", m, words)
		}
	}
}

func TestUnknownNamesGetTheSameSaltEachTime(t *testing.T) {
	t.Parallel()
	first := func(name string) (string, string, string) {
		c := server(t, ScramSHA256, newBook()).(*scramServer)
		c.config.nonce = func() string { return "server" }
		challenge, _, err := c.Next(t.Context(), []byte("n,,n="+name+",r=client"))
		if err != nil {
			t.Fatal(err)
		}
		part := strings.Split(string(challenge), ",")
		return part[0], part[1], part[2]
	}
	_, salt1, rounds := first("nobody")
	_, salt2, _ := first("NoBody")
	_, salt3, _ := first("noone")
	_, known, _ := first("user")
	if salt1 != salt2 || salt1 == salt3 {
		t.Errorf("salts %s %s %s", salt1, salt2, salt3)
	}
	if len(known) != len(salt1) || rounds != "i=65536" {
		t.Errorf("an invented salt looks like %s %s, a real one like %s", salt1, rounds, known)
	}
}

func TestTemporaryFailuresComeOutAsTheyAre(t *testing.T) {
	t.Parallel()
	for _, m := range all {
		v := newBook()
		v.err = passwd.ErrBusy
		se, _ := talk(t, server(t, m, v), client(t, m, Credentials{Name: "user", Password: "pencil"}), true)
		if !errors.Is(se, passwd.ErrBusy) || errors.Is(se, ErrCredentials) {
			t.Errorf("%s: %v", m, se)
		}
	}
}

func TestEmptyPasswordsNeverReachTheVerifier(t *testing.T) {
	t.Parallel()
	for _, m := range []Mechanism{Plain, Login} {
		v := newBook()
		se, _ := talk(t, server(t, m, v), client(t, m, Credentials{Name: "empty"}), true)
		if !errors.Is(se, ErrCredentials) || v.asked != 0 {
			t.Errorf("%s: %v, asked %d times", m, se, v.asked)
		}
	}
}

func TestMechanismsAreOfferedStrongestFirst(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		o    Offer
		want string
	}{
		{Offer{}, ""},
		{Offer{TLS: true}, "PLAIN"},
		{Offer{Login: true}, ""},
		{Offer{Login: true, PlaintextWithoutTLS: true}, "PLAIN LOGIN"},
		{Offer{Scram: true, SHA1: true, Login: true}, "SCRAM-SHA-256 SCRAM-SHA-1"},
		{Offer{Scram: true, Binding: true}, "SCRAM-SHA-256"},
		{Offer{TLS: true, Scram: true, Binding: true}, "SCRAM-SHA-256-PLUS SCRAM-SHA-256 PLAIN"},
		{Offer{TLS: true, Scram: true, SHA1: true, Login: true, Binding: true},
			"SCRAM-SHA-256-PLUS SCRAM-SHA-1-PLUS SCRAM-SHA-256 SCRAM-SHA-1 PLAIN LOGIN"},
	} {
		if got := strings.Join(names(Mechanisms(c.o)), " "); got != c.want {
			t.Errorf("%+v: %q, want %q", c.o, got, c.want)
		}
	}
}

func TestOnlyOfferedMechanismsStart(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"PLAIN", "plain", "SCRAM-SHA-1", "CRAM-MD5", "", "SCRAM-SHA-256-PLUS"} {
		if _, err := NewServer(name, Config{Secret: []byte("secret"), Verifier: newBook(), Offered: []Mechanism{ScramSHA256, "CRAM-MD5", ""}}); !errors.Is(err, ErrMechanism) {
			t.Errorf("%q: %v", name, err)
		}
	}
	if _, err := NewServer("scram-sha-256", Config{Secret: []byte("secret"), Verifier: newBook(), Offered: []Mechanism{ScramSHA256}}); err != nil {
		t.Error(err)
	}
}

func TestScramNeedsASecret(t *testing.T) {
	t.Parallel()
	if _, err := NewServer("SCRAM-SHA-256", Config{Verifier: newBook(), Offered: all}); err == nil {
		t.Error("salts of unknown names can be guessed")
	}
}

func TestClientsChooseTheStrongest(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		offered   string
		b         ChannelBinding
		plaintext bool
		want      Mechanism
	}{
		{"LOGIN PLAIN SCRAM-SHA-1 scram-sha-256 SCRAM-SHA-256-PLUS", binding, true, ScramSHA256Plus},
		{"LOGIN PLAIN SCRAM-SHA-1 scram-sha-256 SCRAM-SHA-256-PLUS", ChannelBinding{}, true, ScramSHA256},
		{"LOGIN PLAIN", binding, true, Plain},
		{"LOGIN PLAIN", binding, false, ""},
		{"LOGIN", binding, true, Login},
		{"GSSAPI", binding, true, ""},
		{"", binding, true, ""},
	} {
		got, err := Choose(strings.Fields(c.offered), c.b, c.plaintext)
		if got != c.want || (err != nil) != (c.want == "") {
			t.Errorf("%q: %q, %v; want %q", c.offered, got, err, c.want)
		}
	}
}

func TestClientsRefuseWhatCannotBeSent(t *testing.T) {
	t.Parallel()
	for _, c := range []Credentials{{}, {Name: "a\x00b"}, {Name: "a", Password: "\x00"}, {Name: "a", Authzid: "\x00"}, {Name: strings.Repeat("a", maxName+1)}} {
		if _, err := NewClient(Plain, c, nil, ChannelBinding{}); !errors.Is(err, ErrCredentials) {
			t.Errorf("%.20q: %v", c, err)
		}
	}
	if _, err := NewClient(ScramSHA1Plus, Credentials{Name: "a"}, nil, ChannelBinding{}); !errors.Is(err, ErrBinding) {
		t.Errorf("-PLUS without binding: %v", err)
	}
	if _, err := NewClient("GSSAPI", Credentials{Name: "a"}, nil, ChannelBinding{}); !errors.Is(err, ErrMechanism) {
		t.Errorf("unknown mechanism: %v", err)
	}
}

func TestBase64IsStrict(t *testing.T) {
	t.Parallel()
	for _, s := range []string{"YQ", "YQ=", "YR==", "Y Q==", "YQ==\r\n", "YQ\n==", "YQ==YQ==", "-_-_", "====", "\x00", strings.Repeat("A", 12292)} {
		if b, err := DecodeResponse(s); !errors.Is(err, ErrProtocol) {
			t.Errorf("%.20q gave %q, %v", s, b, err)
		}
	}
	if b, err := DecodeResponse(""); err != nil || len(b) != 0 || b == nil {
		t.Errorf("empty line: %v, %v", b, err)
	}
	if b, err := DecodeResponse(strings.Repeat("A", 12288)); err != nil || len(b) != MaxResponse {
		t.Errorf("longest: %d, %v", len(b), err)
	}
	if _, err := DecodeResponse("*"); !errors.Is(err, ErrCancelled) {
		t.Errorf("*: %v", err)
	}
	if _, err := DecodeResponse("="); !errors.Is(err, ErrProtocol) {
		t.Errorf("= in a response: %v", err)
	}
	for _, s := range []string{"", "*", "=="} {
		if _, err := DecodeInitial(s); !errors.Is(err, ErrProtocol) {
			t.Errorf("initial %q: %v", s, err)
		}
	}
	for _, want := range []string{"", "a", "\x00user\x00pencil"} {
		if b, err := DecodeInitial(EncodeInitial([]byte(want))); err != nil || string(b) != want || b == nil {
			t.Errorf("%q became %q, %v", want, b, err)
		}
	}
}

func TestHostilePlaintextIsRefused(t *testing.T) {
	t.Parallel()
	for _, response := range []string{
		"", "user", "\x00user", "\x00\x00pencil", "\x00user\x00pencil\x00", "\x00us\ner\x00pencil", "\x00us\xffer\x00pencil",
		"a\rb\x00user\x00pencil", "\x00" + strings.Repeat("u", maxName+1) + "\x00p", "\x00user\x00" + strings.Repeat("p", MaxResponse),
	} {
		v := newBook()
		if _, done, err := server(t, Plain, v).Next(t.Context(), []byte(response)); done || !errors.Is(err, ErrProtocol) || v.asked > 0 {
			t.Errorf("PLAIN %.20q: %v, %v", response, done, err)
		}
	}
	for _, name := range []string{"", "us\x00er", "us\ner", "\xff", strings.Repeat("u", maxName+1)} {
		s := server(t, Login, newBook())
		if _, _, err := s.Next(t.Context(), []byte(name)); !errors.Is(err, ErrProtocol) {
			t.Errorf("LOGIN %.20q: %v", name, err)
		}
		if _, _, err := s.Next(t.Context(), []byte("x")); !errors.Is(err, ErrProtocol) {
			t.Errorf("LOGIN goes on after %.20q: %v", name, err)
		}
	}
	for _, password := range []string{"pen\x00cil", strings.Repeat("p", MaxResponse+1)} {
		s := server(t, Login, newBook())
		if _, _, err := s.Next(t.Context(), []byte("user")); err != nil {
			t.Fatal(err)
		}
		if _, _, err := s.Next(t.Context(), []byte(password)); !errors.Is(err, ErrProtocol) {
			t.Errorf("LOGIN password: %v", err)
		}
	}
}
