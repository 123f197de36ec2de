package authres

import (
	"errors"
	"reflect"
	"strings"
	"testing"
)

func TestFieldIsWrittenFoldedAndReadBack(t *testing.T) {
	t.Parallel()
	f := Field{ID: "mx.example.test", Results: []Result{
		{Method: "spf", Value: "pass", Properties: []Property{{"smtp", "mailfrom", "bob@sender.test"}, {"smtp", "helo", "out.sender.test"}}},
		{Method: "dkim", Value: "fail", Reason: `body "hash" did not verify`, Properties: []Property{{"header", "d", "sender.test"}, {"header", "s", "s1"}, {"header", "b", "ab+/cd=="}}},
		{Method: "dmarc", Value: "pass", Properties: []Property{{"header", "from", "sender.test"}}},
		{Method: "iprev", Value: "pass", Properties: []Property{{"policy", "iprev", "2001:db8::1"}}},
	}}
	want := "Authentication-Results: mx.example.test;\r\n" +
		"\tspf=pass smtp.mailfrom=bob@sender.test smtp.helo=out.sender.test;\r\n" +
		"\tdkim=fail reason=\"body \\\"hash\\\" did not verify\" header.d=sender.test\r\n\theader.s=s1 header.b=\"ab+/cd==\";\r\n" +
		"\tdmarc=pass header.from=sender.test;\r\n" +
		"\tiprev=pass policy.iprev=\"2001:db8::1\"\r\n"
	if got := f.String(); got != want {
		t.Errorf("%s\nwant %s", got, want)
	}
	back, err := Parse(strings.TrimPrefix(want, Name+":"))
	if err != nil || !reflect.DeepEqual(back, f) {
		t.Errorf("%+v, %v", back, err)
	}
	if got := (Field{ID: "mx.test"}).String(); got != "Authentication-Results: mx.test; none\r\n" {
		t.Errorf("%q", got)
	}
	f = Field{ID: "mx.test", Results: []Result{{Method: "dmarc", Value: "fail", Comment: `p=reject (really\)`}}}
	if got := f.String(); got != "Authentication-Results: mx.test;\r\n\tdmarc=fail (p=reject \\(really\\\\\\))\r\n" {
		t.Errorf("%q", got)
	}
}

func TestStrangersCannotWriteIntoTheField(t *testing.T) {
	t.Parallel()
	for _, s := range []string{
		"a\r\nSubject: x", "a; dkim=pass header.d=bank.test", `a" ; dkim=pass`, `a\`, "a b", "x(", "x)", "\x00", "a\x85b", "a\u2028b", "\xff\xfe",
		strings.Repeat("a", 5000), strings.Repeat("\\", 5000), "a@b@c", "@", "a@", "ü@bücher.test", "",
	} {
		f := Field{ID: "mx.test", Results: []Result{
			{Method: "spf", Value: "fail", Reason: s, Comment: s, Properties: []Property{{"smtp", "mailfrom", s}, {s, s, s}}},
			{Method: s, Value: "pass"}, {Method: "spf", Value: s}}}
		text := f.String()
		for i, line := range strings.Split(strings.TrimSuffix(text, "\r\n"), "\r\n") {
			if i > 0 && line[0] != '\t' || len(line) > 998 || strings.ContainsAny(line, "\r\n\x00") {
				t.Errorf("%.60q writes the line %.60q", s, line)
			}
		}
		back, err := Parse(strings.TrimPrefix(text, Name+":"))
		if err != nil || back.ID != "mx.test" || len(back.Results) == 0 || back.Results[0].Value != "fail" || len(back.Results[0].Properties) == 0 {
			t.Errorf("%.60q reads back as %.200v, %v", s, back, err)
		}
		for _, r := range back.Results {
			if r.Method != "spf" && r.Method != strings.ToLower(s) {
				t.Errorf("%q adds %+v", s, r)
			}
		}
		if got := (Field{ID: s}).String(); strings.Count(got, "\r\n") != 1 || strings.Contains(got, "pass") && !strings.Contains(got, `"`) {
			t.Errorf("%q as id: %q", s, got)
		}
	}
}

// TestExamplesOfOthersAreRead holds examples in the manner of RFC 8601
// appendix B and of large providers.
func TestExamplesOfOthersAreRead(t *testing.T) {
	t.Parallel()
	prop := func(kind, name, value string) Property { return Property{kind, name, value} }
	for in, want := range map[string]Field{
		" example.org 1; none": {ID: "example.org"},
		"":                     {},
		" example.com;\r\n\tspf=pass smtp.mailfrom=example.net": {ID: "example.com", Results: []Result{{Method: "spf", Value: "pass", Properties: []Property{prop("smtp", "mailfrom", "example.net")}}}},
		" foo.example.net (foobar) 1 (baz);\r\n dkim (Because I like it) / 1 (One yay) = (wait for it) fail\r\n policy (A dot can go here) . (like that) expired (this surprised me) = (as I wasn't expecting it) 1362471462": {ID: "foo.example.net",
			Results: []Result{{Method: "dkim", Value: "fail"}}},
		` "quoted; id" ; auth=pass (cram-md5) smtp.auth=sender@example.net`: {ID: "quoted; id", Results: []Result{{Method: "auth", Value: "pass", Properties: []Property{prop("smtp", "auth", "sender@example.net")}}}},
		" spf=pass (sender IP is 192.0.2.1)\r\n smtp.mailfrom=a.test; dkim=none (message not signed)\r\n header.d=none;dmarc=bestguesspass action=none\r\n header.from=a.test;compauth=pass reason=109": {Results: []Result{
			{Method: "spf", Value: "pass", Properties: []Property{prop("smtp", "mailfrom", "a.test")}}, {Method: "dkim", Value: "none", Properties: []Property{prop("header", "d", "none")}},
			{Method: "dmarc", Value: "bestguesspass", Properties: []Property{prop("header", "from", "a.test")}}, {Method: "compauth", Value: "pass", Reason: "109"}}},
		` mx.test; dkim=pass header.i=@a.test header.s=s header.b=Ab/+c=; SPF=Pass smtp.mailfrom="a b"@c.test`: {ID: "mx.test", Results: []Result{
			{Method: "dkim", Value: "pass", Properties: []Property{prop("header", "i", "@a.test"), prop("header", "s", "s"), prop("header", "b", "Ab/+c=")}},
			{Method: "spf", Value: "pass", Properties: []Property{prop("smtp", "mailfrom", `"a b"@c.test`)}}}},
		` mx.test; junk; =; a=; spf=; "x;y"; dkim=pass "z" header.d=a.test;; dmarc=fail`: {ID: "mx.test", Results: []Result{{Method: "dkim", Value: "pass"}, {Method: "dmarc", Value: "fail"}}},
	} {
		if got, err := Parse(in); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%q: %+v, %v\nwant %+v", in, got, err, want)
		}
	}
}

func TestFieldsThatDoNotEndAreRefused(t *testing.T) {
	t.Parallel()
	for _, s := range []string{" mx.test; spf=pass (", ` mx.test; spf=pass reason="`, strings.Repeat("(", 99) + strings.Repeat(")", 99), " mx.test; x=" + strings.Repeat("y", maxField)} {
		if f, err := Parse(s); !errors.Is(err, ErrField) {
			t.Errorf("%.40q: %+v, %v", s, f, err)
		}
	}
}

func TestForgedFieldsAreFound(t *testing.T) {
	t.Parallel()
	forged := []string{
		"Authentication-Results: mx.test; spf=pass\r\n",
		"AUTHENTICATION-results : MX.Test 1;\r\n\tspf=pass\r\n",
		"Authentication-Results:\r\n (com(me)nt)\r\n\tmx.test\r\n ; spf=pass\r\n",
		"Authentication-Results: \"mx.te\\st\"; spf=pass\r\n",
		"Authentication-Results: mx.test.; none\r\n",
		"Authentication-Results:mx.test\r\n",
		"Authentication-Results: mx.test/1; spf=pass\r\n",
		"authentication-results: mx.test(x);dkim=pass\n",
		"Authentication-Results: other.test (mx.test; dkim=pass\r\n",
		"Authentication-Results: \"mx.te\r\n st.test\"; x=\"mx.test\r\n",
	}
	kept := []string{
		"Subject: Authentication-Results: mx.test; spf=pass\r\n",
		"Authentication-Results: other.test; spf=pass smtp.mailfrom=mx.test\r\n",
		"Authentication-Results: spf=pass smtp.mailfrom=mx.test\r\n",
		"Authentication-Results: mx.test.evil; spf=pass\r\n", "Authentication-Results: (mx.test) other; spf=pass\r\n",
		"ARC-Authentication-Results: i=1; mx.test; spf=pass\r\n", "X-Authentication-Results: mx.test; spf=pass\r\n",
		"Authentication-Results-X: mx.test; spf=pass\r\n", "no field\r\n",
	}
	var header, want string
	for i := range max(len(forged), len(kept)) {
		if i < len(forged) {
			header += forged[i]
		}
		if i < len(kept) {
			header += kept[i]
			want += kept[i]
		}
	}
	end := "\r\nAuthentication-Results: mx.test; in the body\r\n"
	spans := Own([]byte(header+end), "mx.test")
	if got := string(Remove([]byte(header+end), spans)); got != want+end || len(spans) != len(forged) {
		t.Errorf("%d of %d found, left:\n%s\nwant:\n%s", len(spans), len(forged), got, want+end)
	}
	for _, s := range spans {
		if !strings.EqualFold(header[s.Start:s.Start+len(Name)], Name) || header[s.End-1] != '\n' {
			t.Errorf("span %q", header[s.Start:s.End])
		}
	}
	if got := Own([]byte("Authentication-Results: xn--bcher-kva.test; none\r\nAuthentication-Results: bücher.test; none\r\n"), "BÜCHER.test"); len(got) != 2 {
		t.Errorf("forms of one name: %v", got)
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{" mx.test; spf=pass smtp.mailfrom=a@b.test", ` "x" 1; dkim/1=fail (c(d)) reason="y" header.d="a\"b"@c`, ";;=;(", " spf=pass;none"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got, err := Parse(s)
		if err != nil && !errors.Is(err, ErrField) || len(got.Results) > maxResults {
			t.Fatalf("%q: %v", s, err)
		}
		text := got.String()
		for i, line := range strings.Split(strings.TrimSuffix(text, "\r\n"), "\r\n") {
			if i > 0 && line[0] != '\t' || strings.ContainsAny(line, "\r\n\x00") {
				t.Fatalf("%q writes %q", s, text)
			}
		}
		again, err := Parse(strings.TrimPrefix(text, Name+":"))
		if err != nil || len(again.Results) != len(got.Results) || again.String() != text && len(s) < maxValue/2 {
			t.Fatalf("%q\nreads %+v\nwrites %q\nreads %+v (%v)\nwrites %q", s, got, text, again, err, again.String())
		}
	})
}

func FuzzOwn(f *testing.F) {
	f.Add("Authentication-Results: mx.test; spf=pass\r\nSubject: x\r\n\r\n")
	f.Add("authentication-results:(x)\r\n \"mx.test\"\n\nx")
	f.Fuzz(func(t *testing.T, header string) {
		spans := Own([]byte(header), "mx.test")
		at := 0
		for _, s := range spans {
			if s.Start < at || s.End <= s.Start || s.End > len(header) || !strings.EqualFold(header[s.Start:s.Start+len(Name)], Name) {
				t.Fatalf("%q: %v", header, spans)
			}
			at = s.End
		}
		if rest := Remove([]byte(header), spans); len(Own(rest, "mx.test")) != 0 {
			t.Fatalf("%q: %q", header, rest)
		}
	})
}
