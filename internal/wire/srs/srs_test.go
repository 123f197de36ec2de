package srs

import (
	"errors"
	"strings"
	"testing"
	"time"

	"posthorn/internal/base/mail"
)

var today = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func rewriter(t testing.TB, o Options) *Rewriter {
	t.Helper()
	if o.Domain == "" {
		o.Domain = "us.test"
	}
	if o.Keys == nil {
		o.Keys = [][]byte{[]byte("0123456789abcdef")}
	}
	r, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func parse(t testing.TB, s string) mail.Address {
	t.Helper()
	a, err := mail.ParseAddress(s)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func TestBouncesFindTheSender(t *testing.T) {
	t.Parallel()
	r := rewriter(t, Options{})
	for _, s := range []string{"bob@sender.test", "Bob.Smith+x@sender.test", `"a b"@sender.test`, `"a\"b@c"@sender.test`, "a=b==c@sender.test", "=@sender.test", "用户@sender.test",
		"ü@xn--bcher-kva.test", "srs0x@sender.test", "SRS0@sender.test", "SRS1=x@sender.test", "srs@[192.0.2.1]", "a@[IPv6:2001:db8::1]", "a-b@sender.test"} {
		from := parse(t, s)
		to, err := r.Forward(from, today)
		if err != nil || to.Domain != "us.test" || !strings.HasPrefix(to.Local, "SRS0=") || len(to.Local) > mail.MaxLocal {
			t.Errorf("%s: %s, %v", s, to, err)
			continue
		}
		if again := parse(t, to.String()); again != to {
			t.Errorf("%s: %s reads as %s", s, to, again)
		}
		if back, err := r.Reverse(to, today.Add(3*day)); err != nil || back != from {
			t.Errorf("%s: %s leads to %s, %v", s, to, back, err)
		}
		lower := mail.Address{Local: strings.ToLower(to.Local), Domain: to.Domain}
		if back, err := r.Reverse(lower, today); err != nil || back.Key() != from.Key() {
			t.Errorf("%s in lower case leads to %s, %v", lower, back, err)
		}
	}
}

func TestRewrittenAddressesLookAsOthersExpect(t *testing.T) {
	t.Parallel()
	to, err := rewriter(t, Options{Hash: 4}).Forward(parse(t, "bob@sender.test"), today)
	f := strings.Split(to.Local, "=")
	if err != nil || len(f) != 5 || f[0] != "SRS0" || len(f[1]) != 4 || len(f[2]) != 2 || f[3] != "sender.test" || f[4] != "bob" {
		t.Errorf("%s, %v", to, err)
	}
}

func TestForwardersFormAChainOfFixedLength(t *testing.T) {
	t.Parallel()
	first := rewriter(t, Options{Domain: "first.test", Keys: [][]byte{[]byte("first first first")}})
	second := rewriter(t, Options{Domain: "second.test", Keys: [][]byte{[]byte("second second second")}})
	third := rewriter(t, Options{Domain: "third.test", Keys: [][]byte{[]byte("third third third")}})
	from := parse(t, "bob@sender.test")
	forward := func(r *Rewriter, a mail.Address) mail.Address {
		t.Helper()
		to, err := r.Forward(a, today)
		if err != nil {
			t.Fatal(err)
		}
		return to
	}
	one := forward(first, from)
	two := forward(second, one)
	three := forward(third, two)
	if !strings.HasPrefix(two.Local, "SRS1=") || !strings.Contains(two.Local, "=first.test==") || len(three.Local) != len(two.Local) {
		t.Errorf("%s, %s, %s", one, two, three)
	}
	for _, a := range []mail.Address{two, three} {
		r := map[string]*Rewriter{"second.test": second, "third.test": third}[a.Domain]
		if back, err := r.Reverse(a, today); err != nil || back != one {
			t.Errorf("%s leads to %s, %v", a, back, err)
		}
		if _, err := first.Reverse(a, today); !errors.Is(err, ErrForged) {
			t.Errorf("%s at a stranger: %v", a, err)
		}
	}
	if back, err := first.Reverse(one, today); err != nil || back != from {
		t.Errorf("%s, %v", back, err)
	}
	other := mail.Address{Local: "SRS0+AbCd=EF=x.test=bob", Domain: "plus.test"}
	if back, err := second.Reverse(forward(second, other), today); err != nil || back != other {
		t.Errorf("another separator: %s, %v", back, err)
	}
}

func TestNullReversePathStays(t *testing.T) {
	t.Parallel()
	r := rewriter(t, Options{})
	if a, err := r.Forward(mail.Address{}, today); err != nil || !a.IsNull() {
		t.Errorf("%s, %v", a, err)
	}
	if _, err := r.Forward(mail.Address{Local: "postmaster"}, today); !errors.Is(err, mail.ErrAddress) {
		t.Errorf("%v", err)
	}
}

func TestEveryChangedLetterIsNoticed(t *testing.T) {
	t.Parallel()
	r := rewriter(t, Options{Hash: MaxHash, Domain: "u.test"})
	one, err := r.Forward(parse(t, "bob@s.test"), today)
	if err != nil {
		t.Fatal(err)
	}
	two, err := r.Forward(mail.Address{Local: "SRS0=A=B=x=y", Domain: "f.test"}, today)
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range []mail.Address{one, two} {
		for i := range len(a.Local) {
			b := []byte(a.Local)
			if b[i] = 'q'; a.Local[i]|0x20 == 'q' { // case does not count
				b[i] = 'z'
			}
			if back, err := r.Reverse(mail.Address{Local: string(b), Domain: a.Domain}, today); !errors.Is(err, ErrForged) && !errors.Is(err, ErrNotSRS) {
				t.Errorf("%s leads to %s, %v", b, back, err)
			}
			if back, err := r.Reverse(mail.Address{Local: a.Local[:i], Domain: a.Domain}, today); err == nil {
				t.Errorf("%s leads to %s", a.Local[:i], back)
			}
		}
	}
}

func TestStrangersAddressesAreRefused(t *testing.T) {
	t.Parallel()
	r := rewriter(t, Options{})
	for s, want := range map[string]error{
		"bob": ErrNotSRS, "SRS0": ErrNotSRS, "srs2=a=b": ErrNotSRS, "SRS0x": ErrNotSRS, "": ErrNotSRS, "SRS": ErrNotSRS,
		"SRS0=": ErrForged, "SRS0=a": ErrForged, "SRS0=====": ErrForged, "SRS0=AAAAAAAA=AA=sender.test=bob": ErrForged, "SRS0==AA=sender.test=bob": ErrForged,
		"SRS1=": ErrForged, "SRS1=====": ErrForged, "SRS1=AAAAAAAA=first.test==a=b=c=d": ErrForged, "SRS1=A=first.test=x": ErrForged, "srs1-a=b": ErrForged,
	} {
		if a, err := r.Reverse(mail.Address{Local: s, Domain: "us.test"}, today); !errors.Is(err, want) || !a.IsNull() {
			t.Errorf("%q: %s, %v", s, a, err)
		}
	}
}

func TestAddressesExpire(t *testing.T) {
	t.Parallel()
	r := rewriter(t, Options{MaxAge: 10 * day})
	midnight := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	turn := time.Unix((21*cycle-1)*86400, 0).UTC() // the last day of a cycle
	for _, start := range []time.Time{midnight, turn} {
		to, err := r.Forward(parse(t, "bob@sender.test"), start)
		if err != nil {
			t.Fatal(err)
		}
		for age, want := range map[time.Duration]error{
			-2 * day: ErrExpired, -day: nil, 0: nil, 10*day + 23*time.Hour: nil, 11 * day: ErrExpired, 500 * day: ErrExpired, (cycle - 2) * day: ErrExpired,
		} {
			if _, err := r.Reverse(to, start.Add(age)); !errors.Is(err, want) {
				t.Errorf("from %v after %v: %v, want %v", start, age, err, want)
			}
		}
	}
}

func TestOldKeysAreStillRecognised(t *testing.T) {
	t.Parallel()
	before, after := []byte("before before before"), []byte("after after after")
	to, err := rewriter(t, Options{Keys: [][]byte{before}}).Forward(parse(t, "bob@sender.test"), today)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := rewriter(t, Options{Keys: [][]byte{after, before}}).Reverse(to, today); err != nil {
		t.Error(err)
	}
	if _, err := rewriter(t, Options{Keys: [][]byte{after}}).Reverse(to, today); !errors.Is(err, ErrForged) {
		t.Error(err)
	}
}

func TestLongAddressesAreNotRewritten(t *testing.T) {
	t.Parallel()
	r := rewriter(t, Options{})
	room := mail.MaxLocal - len("SRS0=12345678=12=a.test=")
	for n, want := range map[int]error{room: nil, room + 1: ErrLength} {
		if a, err := r.Forward(mail.Address{Local: strings.Repeat("x", n), Domain: "a.test"}, today); !errors.Is(err, want) {
			t.Errorf("%d octets: %s, %v", n, a, err)
		}
	}
	if _, err := r.Forward(mail.Address{Local: strings.Repeat("ü", room/2+1), Domain: "a.test"}, today); !errors.Is(err, ErrLength) {
		t.Errorf("octets, not letters: %v", err)
	}
	long := rewriter(t, Options{Domain: strings.Repeat(strings.Repeat("a", 60)+".", 4) + "test"})
	if _, err := long.Forward(parse(t, "bob@sender.test"), today); !errors.Is(err, ErrLength) {
		t.Errorf("long domain: %v", err)
	}
}

func TestBadOptionsAreRefused(t *testing.T) {
	t.Parallel()
	good := [][]byte{make([]byte, MinKey)}
	for _, o := range []Options{
		{Domain: "us.test"}, {Domain: "us.test", Keys: [][]byte{make([]byte, MinKey-1)}}, {Domain: "us.test", Keys: append(good[:1:1], nil)}, {Keys: good}, {Domain: "US.test", Keys: good},
		{Domain: "[192.0.2.1]", Keys: good}, {Domain: "us.test", Keys: good, Hash: MinHash - 1}, {Domain: "us.test", Keys: good, Hash: MaxHash + 1},
		{Domain: "us.test", Keys: good, MaxAge: time.Hour}, {Domain: "us.test", Keys: good, MaxAge: cycle * day}, {Domain: "us.test", Keys: good, MaxAge: -day},
	} {
		if r, err := New(o); !errors.Is(err, ErrOptions) || r != nil {
			t.Errorf("%+v: %v", o, err)
		}
	}
}

func FuzzReverse(f *testing.F) {
	r := rewriter(f, Options{Hash: MinHash})
	for _, s := range []string{"bob", "SRS0=AAAA=AA=a.test=b", "SRS1=AAAA=a.test==AAAA=AA=b.test=c", "srs0+=====", "SRS1-=="} {
		f.Add(s, "sender.test")
	}
	f.Fuzz(func(t *testing.T, local, domain string) {
		if a, err := r.Reverse(mail.Address{Local: local, Domain: "us.test"}, today); err == nil {
			if _, err := mail.ParseAddress(a.String()); err != nil {
				t.Fatalf("%q leads to %q: %v", local, a, err)
			}
		}
		from, err := mail.ParseAddress(mail.Address{Local: local, Domain: domain}.String())
		if err != nil {
			return
		}
		to, err := r.Forward(from, today)
		if err != nil {
			return
		}
		if again, err := mail.ParseAddress(to.String()); err != nil || again != to {
			t.Fatalf("%q is rewritten to %q, %v", from, to, err)
		}
		if back, err := r.Reverse(to, today); strings.HasPrefix(to.Local, "SRS0") && (err != nil || back != from) || err != nil {
			t.Fatalf("%q is rewritten to %q, which leads to %q, %v", from, to, back, err)
		}
	})
}
