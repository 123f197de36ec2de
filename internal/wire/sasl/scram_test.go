package sasl

import (
	"context"
	"encoding/base64"
	"errors"
	"strings"
	"testing"

	"posthorn/internal/base/passwd"
)

// example is a published exchange of user "user" with password "pencil".
type example struct {
	mechanism                     Mechanism
	clientNonce, serverNonce      string
	salt                          string
	first, challenge, final, last string
}

var examples = []example{
	{ // RFC 5802 §5
		ScramSHA1, "fyko+d2lbbFgONRv9qkxdawL", "3rfcNHYJY1ZVvWVs7j", "QSXCR+Q6sek8bf92",
		"n,,n=user,r=fyko+d2lbbFgONRv9qkxdawL",
		"r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096",
		"c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=",
		"v=rmF9pqV8S7suAoZWja4dJRkFsKQ=",
	},
	{ // RFC 7677 §3
		ScramSHA256, "rOprNGfwEbeRWgbNEkqO", "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0", "W22ZaJ0SNY7soEsUEjb6gQ==",
		"n,,n=user,r=rOprNGfwEbeRWgbNEkqO",
		"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
		"c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
		"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=",
	},
}

func (e example) server(t *testing.T) Server {
	t.Helper()
	salt, err := base64.StdEncoding.DecodeString(e.salt)
	if err != nil {
		t.Fatal(err)
	}
	v := newBook()
	v.salt = string(salt)
	s, err := NewServer(string(e.mechanism), Config{Secret: []byte("secret"), Verifier: v, Offered: []Mechanism{e.mechanism}, nonce: func() string { return e.serverNonce }})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestServerSpeaksThePublishedExchanges(t *testing.T) {
	t.Parallel()
	for _, e := range examples {
		s := e.server(t)
		for _, step := range [][2]string{{e.first, e.challenge}, {e.final, e.last}} {
			got, done, err := s.Next(t.Context(), []byte(step[0]))
			if err != nil || done || string(got) != step[1] {
				t.Fatalf("%s: %q, %v, %v; want %q", e.mechanism, got, done, err, step[1])
			}
		}
		if _, done, err := s.Next(t.Context(), []byte{}); !done || err != nil {
			t.Errorf("%s: %v, %v", e.mechanism, done, err)
		}
	}
}

func (e example) client(t *testing.T) *scramClient {
	t.Helper()
	c, err := NewClient(e.mechanism, Credentials{Name: "user", Password: "pencil"}, nil, ChannelBinding{})
	if err != nil {
		t.Fatal(err)
	}
	s := c.(*scramClient)
	s.nonce = e.clientNonce
	return s
}

func TestClientSpeaksThePublishedExchanges(t *testing.T) {
	t.Parallel()
	for _, e := range examples {
		c := e.client(t)
		if got, err := c.Start(); err != nil || string(got) != e.first {
			t.Fatalf("%s: %q, %v", e.mechanism, got, err)
		}
		if got, err := c.Next([]byte(e.challenge)); err != nil || string(got) != e.final {
			t.Fatalf("%s: %q, %v", e.mechanism, got, err)
		}
		if err := c.Finish(); !errors.Is(err, ErrServer) {
			t.Errorf("%s: finished without the server's proof: %v", e.mechanism, err)
		}
		if got, err := c.Next([]byte(e.last)); err != nil || len(got) != 0 || got == nil {
			t.Fatalf("%s: %q, %v", e.mechanism, got, err)
		}
		if err := c.Finish(); err != nil {
			t.Errorf("%s: %v", e.mechanism, err)
		}
		if _, err := c.Next([]byte(e.last)); err == nil || c.Finish() == nil {
			t.Errorf("%s: a second proof is welcome", e.mechanism)
		}
	}
}

func TestHostileFirstMessagesAreRefused(t *testing.T) {
	t.Parallel()
	for _, m := range []string{
		"", ",", ",,", "n", "n,", "n,,", "n,,n=user", "n,,r=x,n=user", "n,,n=,r=x", "n,,n=user,r=", "x,,n=user,r=x", "nn,,n=user,r=x",
		"n,user,n=user,r=x", "n,a=,n=user,r=x", "n,a=b=,n=user,r=x", "n,,n=us=er,r=x", "n,,n=us=2,r=x", "n,,n=us=2cer,r=x", "n,,n=u\x00,r=x",
		"n,,n=u\n,r=x", "n,,n=\xff,r=x", "n,,n=user,r=x y", "n,,n=user,r=\x7f", "n,,n=user,r=é", "n,,m=1,n=user,r=x", "n,,n=user,r=x,m=1",
		"n,,n=user,r=x,", "n,,n=user,r=x,1=2", "n,,n=user,r=x,ab", "n,,n=user,r=x,a=\x00", "p=,,n=user,r=x", "p=tls unique,,n=user,r=x",
		"n,,n=" + strings.Repeat("u", maxName+1) + ",r=x", "n,,n=user,r=" + strings.Repeat("x", maxNonce+1), "n,,n=user,r=x,a=" + strings.Repeat("x", MaxResponse),
	} {
		v := newBook()
		s := server(t, ScramSHA256, v)
		if _, done, err := s.Next(t.Context(), []byte(m)); done || !errors.Is(err, ErrProtocol) || v.asked > 0 {
			t.Errorf("%.40q: %v, %v", m, done, err)
		}
		if _, _, err := s.Next(t.Context(), []byte("n,,n=user,r=x")); !errors.Is(err, ErrProtocol) {
			t.Errorf("goes on after %.40q: %v", m, err)
		}
	}
}

func TestHostileFinalMessagesAreRefused(t *testing.T) {
	t.Parallel()
	e := examples[1]
	nonce := e.clientNonce + e.serverNonce
	proof := e.final[strings.LastIndex(e.final, ",p="):]
	for m, want := range map[string]error{
		"":                                                 ErrProtocol,
		"c=biws,r=" + nonce:                                ErrProtocol,
		"c=biws,r=" + nonce + ",p=":                        ErrProtocol,
		"c=biws,r=" + nonce + ",p=YQ":                      ErrProtocol,
		"c=biws,r=" + nonce + ",p=YQ==":                    ErrProtocol,
		"r=" + nonce + proof:                               ErrProtocol,
		"c=biws" + proof:                                   ErrProtocol,
		"c=biws,r=" + e.clientNonce + proof:                ErrProtocol,
		"c=biws,r=" + nonce + "x" + proof:                  ErrProtocol,
		"c=biws,r=" + nonce + ",m=1" + proof:               ErrProtocol,
		"c=biws,r=" + nonce + proof + ",a=b":               ErrProtocol,
		"c=eSws,r=" + nonce + proof:                        ErrBinding, // y,,
		"c=biwsYQ==,r=" + nonce + proof:                    ErrBinding,
		"c=biws,r=" + nonce + ",a=b" + proof:               ErrCredentials,
		e.final[:len(e.final)-8] + "AAAAAAA=":              ErrCredentials,
		"c=biws,r=" + nonce + strings.Repeat(",a=b", 9999): ErrProtocol,
	} {
		s := e.server(t)
		if _, _, err := s.Next(t.Context(), []byte(e.first)); err != nil {
			t.Fatal(err)
		}
		if _, done, err := s.Next(t.Context(), []byte(m)); done || !errors.Is(err, want) {
			t.Errorf("%.60q: %v, %v; want %v", m, done, err, want)
		}
		if _, done, err := s.Next(t.Context(), []byte(e.final)); done || !errors.Is(err, ErrProtocol) {
			t.Errorf("second try after %.60q: %v, %v", m, done, err)
		}
		if s.Identity() != (Identity{}) {
			t.Errorf("%.60q left %+v", m, s.Identity())
		}
	}
}

func TestDataAfterTheServersProofIsRefused(t *testing.T) {
	t.Parallel()
	e := examples[0]
	s := e.server(t)
	for _, m := range []string{e.first, e.final} {
		if _, _, err := s.Next(t.Context(), []byte(m)); err != nil {
			t.Fatal(err)
		}
	}
	if _, done, err := s.Next(t.Context(), []byte("x")); done || !errors.Is(err, ErrProtocol) || s.Identity() != (Identity{}) {
		t.Errorf("%v, %v, %+v", done, err, s.Identity())
	}
}

func TestHostileServersAreRefused(t *testing.T) {
	t.Parallel()
	e := examples[1]
	nonce := e.clientNonce + e.serverNonce
	for _, m := range []string{
		"", "e=other-error", "r=" + nonce, "r=" + e.clientNonce + ",s=YQ==,i=4096", "r=other,s=YQ==,i=4096", "r=" + nonce + ",s=,i=4096",
		"r=" + nonce + ",s=YQ==,i=4095", "r=" + nonce + ",s=YQ==,i=2000001", "r=" + nonce + ",s=YQ==,i=-1", "r=" + nonce + ",s=YQ==,i=99999999999",
		"r=" + nonce + ",s=YQ,i=4096", "m=1,r=" + nonce + ",s=YQ==,i=4096", "r=" + nonce + ",s=YQ==,i=4096,m=1",
		"r=" + nonce + ",s=" + strings.Repeat("YWFh", 400) + ",i=4096", "r=" + nonce + ",s=YQ==,i=4096,a=" + strings.Repeat("x", MaxResponse),
	} {
		c := e.client(t)
		if _, err := c.Start(); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Next([]byte(m)); !errors.Is(err, ErrProtocol) {
			t.Errorf("%.60q: %v", m, err)
		}
		if _, err := c.Next([]byte(e.challenge)); err == nil || c.Finish() == nil {
			t.Errorf("goes on after %.60q", m)
		}
	}
	for m, want := range map[string]error{
		"": ErrProtocol, "e=invalid-proof": ErrCredentials, "v=": ErrProtocol, "v=YQ": ErrProtocol, "v=YQ==": ErrServer,
		e.last + ",m=1": ErrProtocol, "v=" + b64(make([]byte, 32)): ErrServer, "v=" + strings.Repeat("AAAA", MaxResponse): ErrProtocol,
	} {
		c := e.client(t)
		if _, err := c.Start(); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Next([]byte(e.challenge)); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Next([]byte(m)); !errors.Is(err, want) || c.Finish() == nil {
			t.Errorf("%.60q: %v, want %v", m, err, want)
		}
	}
	if _, err := e.client(t).Next([]byte(e.challenge)); err == nil {
		t.Error("a challenge before the start is answered")
	}
}

func TestRemovedPlusMechanismsAreNoticed(t *testing.T) {
	t.Parallel()
	stripped := names([]Mechanism{ScramSHA256, ScramSHA1, Plain})
	login := Credentials{Name: "user", Password: "pencil"}
	try := func(m Mechanism, seen []string, b ChannelBinding, offered []Mechanism) error {
		s, err := NewServer(string(m), Config{Secret: []byte("secret"), Verifier: newBook(), Offered: offered, Binding: binding})
		if err != nil {
			t.Fatal(err)
		}
		c, err := NewClient(m, login, seen, b)
		if err != nil {
			t.Fatal(err)
		}
		se, ce := talk(t, s, c, true)
		return errors.Join(se, ce)
	}
	if err := try(ScramSHA256, stripped, binding, all); !errors.Is(err, ErrBinding) {
		t.Errorf("-PLUS removed on the way: %v", err)
	}
	if err := try(ScramSHA256, stripped, binding, []Mechanism{ScramSHA256}); err != nil {
		t.Errorf("-PLUS never offered: %v", err)
	}
	if err := try(ScramSHA1, names([]Mechanism{ScramSHA1, ScramSHA256Plus}), binding, all); err != nil {
		t.Errorf("client that saw another -PLUS: %v", err)
	}
	if err := try(ScramSHA256, stripped, ChannelBinding{}, all); err != nil {
		t.Errorf("client without channel binding: %v", err)
	}
}

func TestChannelBindingFlagsMustFitTheMechanism(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		m       Mechanism
		first   string
		binding ChannelBinding
		ok      bool
	}{
		{ScramSHA256Plus, "n,,n=user,r=x", binding, false},
		{ScramSHA256Plus, "y,,n=user,r=x", binding, false},
		{ScramSHA256Plus, "p=tls-unique,,n=user,r=x", binding, false},
		{ScramSHA256Plus, "p=tls-exporter,,n=user,r=x", binding, true},
		{ScramSHA256Plus, "p=tls-server-end-point,,n=user,r=x", binding, true},
		{ScramSHA256Plus, "p=tls-server-end-point,,n=user,r=x", ChannelBinding{Exporter: []byte("x")}, false},
		{ScramSHA256Plus, "p=tls-exporter,,n=user,r=x", ChannelBinding{EndPoint: []byte("x")}, false},
		{ScramSHA256, "p=tls-exporter,,n=user,r=x", binding, false},
		{ScramSHA256, "n,,n=user,r=x", binding, true},
	} {
		s, err := NewServer(string(c.m), Config{Secret: []byte("secret"), Verifier: newBook(), Offered: all, Binding: c.binding})
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := s.Next(t.Context(), []byte(c.first)); (err == nil) != c.ok || err != nil && !errors.Is(err, ErrBinding) {
			t.Errorf("%s %s: %v", c.m, c.first, err)
		}
	}
}

func TestAnotherConnectionsBindingFails(t *testing.T) {
	t.Parallel()
	other := ChannelBinding{Exporter: []byte("exporter of the attacker's connection")}
	c, err := NewClient(ScramSHA256Plus, Credentials{Name: "user", Password: "pencil"}, names(all), other)
	if err != nil {
		t.Fatal(err)
	}
	if se, _ := talk(t, server(t, ScramSHA256Plus, newBook()), c, true); !errors.Is(se, ErrBinding) {
		t.Errorf("server says %v", se)
	}
}

// wrongHash returns verifiers of another hash than asked for.
type wrongHash struct{ *book }

func (w wrongHash) Scram(ctx context.Context, name string, _ passwd.ScramHash) (string, passwd.Scram, error) {
	return w.book.Scram(ctx, name, passwd.SHA1)
}

func TestVerifiersOfAnotherHashAreAFault(t *testing.T) {
	t.Parallel()
	_, _, err := server(t, ScramSHA256, wrongHash{newBook()}).Next(t.Context(), []byte("n,,n=user,r=x"))
	if err == nil || errors.Is(err, ErrCredentials) || errors.Is(err, ErrProtocol) {
		t.Errorf("%v", err)
	}
}

func FuzzServers(f *testing.F) {
	for _, e := range examples {
		f.Add(string(e.mechanism), []byte(e.first), []byte(e.final))
	}
	f.Add("PLAIN", []byte("\x00user\x00pencil"), []byte{})
	f.Add("LOGIN", []byte("user"), []byte("pencil"))
	f.Add("SCRAM-SHA-256-PLUS", []byte("p=tls-exporter,a=z,n=a=2Cb=3Dc,r=x,a=b"), []byte("c=biws,r=x,p=YQ=="))
	known := newBook()
	known.passwords = map[string]string{"user": "a password nobody tries"}
	f.Fuzz(func(t *testing.T, name string, first, second []byte) {
		s, err := NewServer(name, Config{Secret: []byte("secret"), Verifier: known, Offered: all, Binding: binding})
		if err != nil {
			return
		}
		for _, m := range [][]byte{nil, first, second, {}, {}} {
			challenge, done, err := s.Next(t.Context(), m)
			if done || s.Identity() != (Identity{}) {
				t.Fatalf("%s: logged in with %q %q", name, first, second)
			}
			if err != nil {
				return
			}
			if len(challenge) > 4*maxNonce {
				t.Fatalf("challenge of %d octets", len(challenge))
			}
		}
		t.Fatal("the exchange never ends")
	})
}

func FuzzMessages(f *testing.F) {
	for _, e := range examples {
		for _, m := range []string{e.first, e.challenge, e.final, e.last} {
			f.Add([]byte(m))
		}
	}
	f.Add([]byte("p=tls-exporter,a=z,n=a=2Cb=3Dc,r=x,a=b"))
	f.Add([]byte("e=other-error"))
	f.Add([]byte("z\x00user\x00pencil"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if m, err := parseClientFirst(b); err == nil && m.gs2+m.bare != string(b) {
			t.Errorf("%q is %q and %q", b, m.gs2, m.bare)
		}
		if m, err := parseServerFirst(b); err == nil && (m.iterations < passwd.MinIterations || len(m.salt) == 0) {
			t.Errorf("%q gave %+v", b, m)
		}
		if m, err := parseClientFinal(b); err == nil && m.without+",p="+b64(m.proof) != string(b) {
			t.Errorf("%q gave %+v", b, m)
		}
		if sig, err := parseServerFinal(b); err == nil && !strings.HasPrefix(string(b), "v="+b64(sig)) {
			t.Errorf("%q gave %q", b, sig)
		}
		if authzid, name, password, err := parsePlain(b); err == nil && name == "" {
			t.Errorf("%q gave %q %q %q", b, authzid, name, password)
		}
		if plain, err := DecodeResponse(string(b)); err == nil && Encode(plain) != string(b) {
			t.Errorf("base64 %q became %q", b, Encode(plain))
		}
	})
}
