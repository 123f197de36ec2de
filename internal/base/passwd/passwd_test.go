package passwd

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/crypto/argon2"
)

// cheap keeps the tests quick; nothing about the logic depends on the cost.
var cheap = Params{Memory: 64, Time: 1, Threads: 1}

func cheapVerifier() *Verifier { return NewVerifier(Options{Params: cheap}) }

func TestHashesVerifyAndRoundTrip(t *testing.T) {
	t.Parallel()
	v := NewVerifier(Options{})
	for _, password := range []string{"secret", "pa ss", "pässwörd", strings.Repeat("x", MaxPassword), "\xff\xfe", "$,="} {
		text, err := v.NewHash(t.Context(), password)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.HasPrefix(text, "$argon2id$v=19$m=19456,t=2,p=1$") {
			t.Errorf("hash is %s", text)
		}
		h, err := ParseHash(text)
		if err != nil || h.String() != text {
			t.Errorf("ParseHash(%s) = %v, %v", text, h, err)
		}
		if upgrade, err := v.Verify(t.Context(), "1", text, password); err != nil || upgrade {
			t.Errorf("right password: upgrade %v, %v", upgrade, err)
		}
		if _, err := v.Verify(t.Context(), "1", text, password+"x"); !errors.Is(err, ErrMismatch) {
			t.Errorf("wrong password: %v", err)
		}
	}
}

func TestForeignArgonHashesAreRead(t *testing.T) {
	t.Parallel()
	// Made by the reference implementation: echo -n password | argon2 somesalt -id -t 2 -m 16 -p 1 (its test.c).
	const text = "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc"
	upgrade, err := NewVerifier(Options{}).Verify(t.Context(), "1", text, "password")
	if err != nil || !upgrade {
		t.Errorf("upgrade %v, %v; want an upgrade", upgrade, err)
	}
}

func TestUnreadableHashesAreRefused(t *testing.T) {
	t.Parallel()
	salt, sum := "c29tZXNhbHQ", "CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc"
	for _, text := range []string{
		"", "$", "password", "$argon2i$v=19$m=64,t=1,p=1$" + salt + "$" + sum,
		"$argon2id$v=16$m=64,t=1,p=1$" + salt + "$" + sum,
		"$argon2id$v=19$m=64,t=1$" + salt + "$" + sum,
		"$argon2id$v=19$t=1,m=64,p=1$" + salt + "$" + sum,
		"$argon2id$v=19$m=4194304,t=1,p=1$" + salt + "$" + sum,
		"$argon2id$v=19$m=64,t=1000,p=1$" + salt + "$" + sum,
		"$argon2id$v=19$m=64,t=1,p=9$" + salt + "$" + sum,
		"$argon2id$v=19$m=064,t=1,p=1$" + salt + "$" + sum,
		"$argon2id$v=19$m=+64,t=1,p=1$" + salt + "$" + sum,
		"$argon2id$v=19$m=64,t=0,p=1$" + salt + "$" + sum,
		"$argon2id$v=19$m=64,t=1,p=1$" + salt + "$",
		"$argon2id$v=19$m=64,t=1,p=1$$" + sum,
		"$argon2id$v=19$m=64,t=1,p=1$" + salt + "\n$" + sum,
		"$argon2id$v=19$m=64,t=1,p=1$" + salt + "$" + sum + "=",
		"$argon2id$v=19$m=64,t=1,p=1$" + salt + "$" + sum + "$",
		"$argon2id$v=19$m=64,t=1,p=1$" + salt + "$" + strings.Repeat(sum, 20),
	} {
		if _, err := ParseHash(text); !errors.Is(err, ErrSyntax) {
			t.Errorf("ParseHash(%q): %v", text, err)
		}
		if _, err := cheapVerifier().Verify(t.Context(), "1", text, "password"); !errors.Is(err, ErrSyntax) {
			t.Errorf("Verify(%q): %v", text, err)
		}
	}
}

func TestEmptyAndEndlessPasswordsNeverFit(t *testing.T) {
	t.Parallel()
	v := cheapVerifier()
	long := strings.Repeat("x", MaxPassword+1)
	for _, password := range []string{"", long} {
		stored := newHash(password, cheap).String()
		if _, err := v.Verify(t.Context(), "1", stored, password); !errors.Is(err, ErrMismatch) {
			t.Errorf("%d octets: %v", len(password), err)
		}
	}
	if _, err := v.NewHash(t.Context(), long); !errors.Is(err, ErrTooLong) {
		t.Errorf("NewHash: %v", err)
	}
	if _, err := v.NewScram(t.Context(), SHA256, long); !errors.Is(err, ErrTooLong) {
		t.Errorf("NewScram: %v", err)
	}
	if err := v.Dummy(t.Context(), "secret"); !errors.Is(err, ErrMismatch) {
		t.Errorf("Dummy: %v", err)
	}
}

func TestOldParametersAskForAnUpgrade(t *testing.T) {
	t.Parallel()
	v := cheapVerifier()
	old := newHash("secret", Params{Memory: 128, Time: 1, Threads: 1}).String()
	for range 2 { // the second answer comes from the cache
		if upgrade, err := v.Verify(t.Context(), "1", old, "secret"); err != nil || !upgrade {
			t.Errorf("upgrade %v, %v", upgrade, err)
		}
	}
}

// remembered reports whether a success is answered without a computation: the
// gate is shut and nobody may wait.
func remembered(t *testing.T, v *Verifier, identity, stored, password string) bool {
	t.Helper()
	for range cap(v.gate) {
		v.gate <- struct{}{}
	}
	defer func() {
		for range cap(v.gate) {
			<-v.gate
		}
	}()
	most := v.most
	v.most = 0
	defer func() { v.most = most }()
	_, err := v.Verify(t.Context(), identity, stored, password)
	if err != nil && !errors.Is(err, ErrBusy) {
		t.Fatal(err)
	}
	return err == nil
}

func TestSuccessIsRememberedForOneAccountHashAndPassword(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		v := NewVerifier(Options{Params: cheap, Remember: time.Minute})
		stored, other := newHash("secret", cheap).String(), newHash("secret", cheap).String()
		if remembered(t, v, "1", stored, "secret") {
			t.Error("remembered before it was ever right")
		}
		if _, err := v.Verify(t.Context(), "1", stored, "wrong"); !errors.Is(err, ErrMismatch) {
			t.Fatal(err)
		}
		if remembered(t, v, "1", stored, "wrong") {
			t.Error("a failure is remembered")
		}
		if _, err := v.Verify(t.Context(), "1", stored, "secret"); err != nil {
			t.Fatal(err)
		}
		if !remembered(t, v, "1", stored, "secret") {
			t.Error("a success is not remembered")
		}
		for _, c := range [][3]string{{"2", stored, "secret"}, {"1", other, "secret"}, {"1", stored, "secre"}, {"", stored, "secret"}} {
			if remembered(t, v, c[0], c[1], c[2]) {
				t.Errorf("%q answered by another's success", c)
			}
		}
		time.Sleep(time.Minute)
		if remembered(t, v, "1", stored, "secret") {
			t.Error("remembered too long")
		}
		if len(v.cache.known) != 0 || v.cache.order.Len() != 0 {
			t.Error("expired entries are kept")
		}
		if _, err := v.Verify(t.Context(), "1", stored, "secret"); err != nil {
			t.Fatal(err)
		}
		v.Forget()
		if remembered(t, v, "1", stored, "secret") {
			t.Error("remembered after Forget")
		}
	})
}

func TestMemoryOfSuccessesIsBounded(t *testing.T) {
	t.Parallel()
	c := newCache(3, time.Hour)
	for i := range 10 {
		c.add(c.key(fmt.Sprint(i), "", ""))
	}
	for i := range 10 {
		if got, want := c.has(c.key(fmt.Sprint(i), "", "")), i >= 7; got != want {
			t.Errorf("entry %d: kept %v", i, got)
		}
	}
	if len(c.known) != 3 || c.order.Len() != 3 {
		t.Errorf("%d, %d entries", len(c.known), c.order.Len())
	}
	none := newCache(-1, time.Hour)
	none.add(cacheKey{})
	if none.has(cacheKey{}) {
		t.Error("a cache of no entries keeps one")
	}
	if c.key("ab", "c", "") == c.key("a", "bc", "") {
		t.Error("parts of the key run together")
	}
}

func TestComputationsWaitTheirTurn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		v := NewVerifier(Options{Params: cheap, Parallel: 1, Waiting: 1})
		v.gate <- struct{}{} // a computation is running
		ctx, cancel := context.WithCancel(t.Context())
		first := make(chan error)
		go func() { first <- v.Dummy(ctx, "x") }()
		synctest.Wait()
		if err := v.Dummy(t.Context(), "x"); !errors.Is(err, ErrBusy) {
			t.Errorf("one too many: %v", err)
		}
		cancel()
		if err := <-first; !errors.Is(err, context.Canceled) {
			t.Errorf("cancelled: %v", err)
		}
		if err := v.Dummy(ctx, "x"); !errors.Is(err, context.Canceled) {
			t.Errorf("cancelled before: %v", err)
		}
		go func() { first <- v.Dummy(t.Context(), "x") }()
		synctest.Wait()
		v.leave()
		if err := <-first; !errors.Is(err, ErrMismatch) {
			t.Errorf("its turn: %v", err)
		}
		if len(v.gate) != 0 || v.waiting.Load() != 0 {
			t.Errorf("%d running, %d waiting at the end", len(v.gate), v.waiting.Load())
		}
	})
}

func TestWaitingLoginsUseASuccessThatCameMeanwhile(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		v := NewVerifier(Options{Params: cheap, Parallel: 1})
		stored := newHash("secret", cheap).String()
		v.gate <- struct{}{} // another connection of the same client
		result := make(chan error)
		go func() {
			_, err := v.Verify(t.Context(), "1", stored, "not computed")
			result <- err
		}()
		synctest.Wait()
		v.cache.add(v.cache.key("1", stored, "not computed"))
		v.leave()
		if err := <-result; err != nil {
			t.Errorf("computed again: %v", err)
		}
	})
}

func TestScramVerifiersRoundTrip(t *testing.T) {
	t.Parallel()
	for _, h := range []ScramHash{SHA1, SHA256} {
		s, err := cheapVerifier().NewScram(t.Context(), h, "pencil")
		if err != nil {
			t.Fatal(err)
		}
		if s.Iterations != 65_536 || len(s.Salt) != 16 {
			t.Errorf("%d iterations, salt %x", s.Iterations, s.Salt)
		}
		back, err := ParseScram(s.String())
		if err != nil || back.String() != s.String() {
			t.Errorf("ParseScram(%s) = %v, %v", s, back, err)
		}
		again, err := DeriveScram(h, "pencil", s.Salt, s.Iterations)
		if err != nil || again.String() != s.String() {
			t.Errorf("derived again: %v, %v", again, err)
		}
	}
	if _, err := cheapVerifier().NewScram(t.Context(), "SCRAM-MD5", "x"); err == nil {
		t.Error("an unknown hash gave a verifier")
	}
}

func TestScramKeysAreThoseOfRFC5802(t *testing.T) {
	t.Parallel()
	// The salted password of RFC 5802 §5's example, as widely published.
	salt, err := base64.StdEncoding.DecodeString("QSXCR+Q6sek8bf92")
	if err != nil {
		t.Fatal(err)
	}
	salted, err := SHA1.SaltedPassword("pencil", salt, 4096)
	if err != nil || hex.EncodeToString(salted) != "1d96ee3a529b5a5f9e47c01f229a2cb8a6e15f7d" {
		t.Errorf("salted password %x, %v", salted, err)
	}
	if !bytes.Equal(SHA1.H(SHA1.HMAC(salted, []byte("Client Key"))), mustHex(t, "e9d94660c39d65c38fbad91c358f14da0eef2bd6")) {
		t.Error("stored key differs")
	}
}

func mustHex(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestUnreadableScramVerifiersAreRefused(t *testing.T) {
	t.Parallel()
	s, err := DeriveScram(SHA256, "pencil", []byte("saltsalt"), 4096)
	if err != nil {
		t.Fatal(err)
	}
	good := s.String()
	for _, text := range []string{
		"", "SCRAM-SHA-256", strings.Replace(good, "256", "512", 1), strings.Replace(good, "256", "1", 1), strings.Replace(good, "4096", "0", 1),
		strings.Replace(good, "4096", "-1", 1), strings.Replace(good, "4096", "999999999", 1), strings.Replace(good, "$", ":", 1),
		good + "$", good + "=", good[:len(good)-4], strings.Replace(good, ":", ":\n", 1), strings.Repeat(good, 9),
		strings.Replace(good, base64.StdEncoding.EncodeToString([]byte("saltsalt")), "", 1),
	} {
		if got, err := ParseScram(text); !errors.Is(err, ErrSyntax) {
			t.Errorf("ParseScram(%q) = %v, %v", text, got, err)
		}
	}
}

func TestUnknownNamesKeepTheirInventedSalt(t *testing.T) {
	t.Parallel()
	a := UnknownScram([]byte("key"), SHA256, "a@example.test")
	for _, c := range []struct {
		what string
		s    Scram
		same bool
	}{
		{"asked again", UnknownScram([]byte("key"), SHA256, "a@example.test"), true},
		{"other name", UnknownScram([]byte("key"), SHA256, "b@example.test"), false},
		{"other hash", UnknownScram([]byte("key"), SHA1, "a@example.test"), false},
		{"other secret", UnknownScram([]byte("kez"), SHA256, "a@example.test"), false},
	} {
		if bytes.Equal(a.Salt, c.s.Salt) != c.same || bytes.Equal(a.StoredKey, c.s.StoredKey) != c.same {
			t.Errorf("%s: same salt %v", c.what, !c.same)
		}
	}
	real, err := DeriveScram(SHA256, "x", make([]byte, saltLength), Iterations)
	if err != nil {
		t.Fatal(err)
	}
	if len(a.Salt) != len(real.Salt) || a.Iterations != real.Iterations || len(a.StoredKey) != len(real.StoredKey) {
		t.Error("an invented verifier has another shape than a real one")
	}
}

func TestPrepareFollowsSASLprep(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ in, want string }{
		{"I\u00adX", "IX"}, {"user", "user"}, {"USER", "USER"}, {"\u00aa", "a"}, {"\u2168", "IX"}, // RFC 4013 §3
		{"\u0007", "\u0007"}, {"\u00e9", "\u00e9"}, {"e\u0301", "\u00e9"}, {"a\u00a0b", "a b"}, {"a\u3000b", "a b"},
		{"\uff41", "a"}, {"\xff", "\xff"}, {"é\xff", "é\xff"}, {"e\u0301\u0007", "e\u0301\u0007"}, {"\u00ad", "\u00ad"}, {"", ""},
		{"e\u0301\ue000", "e\u0301\ue000"}, {"\u0627\u0031", "\u0627\u0031"},
	} {
		if got := Prepare(c.in); got != c.want {
			t.Errorf("Prepare(%+q) = %+q, want %+q", c.in, got, c.want)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add("$argon2id$v=19$m=64,t=1,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc")
	f.Add("SCRAM-SHA-256$4096:c2FsdA==$" + base64.StdEncoding.EncodeToString(make([]byte, 32)) + ":" + base64.StdEncoding.EncodeToString(make([]byte, 32)))
	f.Add("I\u00adX")
	f.Fuzz(func(t *testing.T, text string) {
		if h, err := ParseHash(text); err == nil && h.String() != text {
			t.Errorf("hash %q became %q", text, h.String())
		}
		if s, err := ParseScram(text); err == nil {
			if back, err := ParseScram(s.String()); err != nil || back.String() != s.String() {
				t.Errorf("verifier %q became %q, %v", text, back.String(), err)
			}
		}
		if p := Prepare(text); Prepare(p) != p {
			t.Errorf("Prepare(%q) = %q, again %q", text, p, Prepare(p))
		}
	})
}

func BenchmarkArgon2id(b *testing.B) {
	h := newHash("secret", Recommended())
	b.ReportAllocs()
	for b.Loop() {
		h.matches("secret")
	}
}

func BenchmarkVerifyRemembered(b *testing.B) {
	v := NewVerifier(Options{})
	stored := newHash("secret", Recommended()).String()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := v.Verify(b.Context(), "1", stored, "secret"); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkScram256(b *testing.B) {
	for b.Loop() {
		if _, err := newScram(SHA256, "secret"); err != nil {
			b.Fatal(err)
		}
	}
}

func TestVersionIsTheOneInTheText(t *testing.T) {
	t.Parallel()
	if argon2.Version != 19 {
		t.Errorf("argon2 version %d", argon2.Version)
	}
}
