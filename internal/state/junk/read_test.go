package junk

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

// shown lists the tokens as "where text", sorted.
func shown(t *Tokens) []string {
	var all []string
	for i := range t.list {
		where, text := t.show(i)
		all = append(all, where+" "+text)
	}
	slices.Sort(all)
	return all
}

// reader is a filter that only reads.
func reader() *Filter {
	return &Filter{hasher: newHasher(testKey), o: Options{Own: func(h string) bool { return h == "mx.home.test" }}}
}

// kindsIn returns the texts of some kinds.
func kindsIn(t *Tokens, where ...string) []string {
	var all []string
	for _, s := range shown(t) {
		for _, w := range where {
			if text, ok := strings.CutPrefix(s, w+" "); ok {
				all = append(all, text)
			}
		}
	}
	return all
}

func TestTextBecomesWords(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"Hello, WORLD! it's a dog's life":    "dog's hello it's life world",
		"Größe ÜBER Straße":                  "größe straße über",
		"ｆｒｅｅ 𝐌𝐎𝐍𝐄𝐘":                         "free money",
		"V1agra 80% off 2026 1.000,00":       "off v1agra",
		"via\u200bgra fr\u00adee":            "free viagra",
		"今日は会議です":                            "す今 会議 今日 日は は会 議で です",
		"大":                                  "大",
		"Привет мир":                         "мир привет",
		"ภาษาไทย":                            "",
		"foo@bar.test write":                 "write",
		"x ab abc 12 ab3":                    "ab3 abc",
		strings.Repeat("z", 33) + " ok fine": "fine",
		"8f3c9e1b2d4a6f7081 hash":            "hash",
		"don''t 'quoted'":                    "don quoted",
	} {
		got := kindsIn(mustRead(t, "\r\n"+text+"\r\n"), "word")
		switch {
		case text == "ภาษาไทย":
			if len(got) != 6 {
				t.Errorf("%q: %q", text, got)
			}
			continue
		case text == "今日は会議です":
			want = strings.TrimPrefix(want, "す今 ")
		}
		wanted := strings.Fields(want)
		slices.Sort(wanted)
		if !slices.Equal(got, wanted) {
			t.Errorf("%q: %q, want %q", text, got, wanted)
		}
	}
}

func mustRead(t testing.TB, raw string) *Tokens {
	t.Helper()
	tokens, err := reader().Read(parsed([]byte(raw)))
	if err != nil {
		t.Fatal(err)
	}
	return tokens
}

func TestLinksAreTheirHostsAndDomains(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"see http://a.b.example.co.uk/x?y=z#q now":         "a.b.example.co.uk example.co.uk",
		"HTTPS://User:pw@Shop.Example.com:8080/secret/xyz": "example.com shop.example.com",
		"www.example.com, www.example.com.":                "example.com",
		"http://192.0.2.7/login":                           "192.0.2.7",
		"write to joe@mail.example.org please":             "example.org mail.example.org",
		"http:// nothing":                                  "",
		"wwwhat httpx://foo.test":                          "",
	} {
		if got := strings.Join(kindsIn(mustRead(t, "\r\n"+text+"\r\n"), "link"), " "); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
	tokens := mustRead(t, "\r\nhttp://paypal.com@evil.test/ http://192.0.2.7/ p\u0430ypal\r\n")
	for _, want := range []string{"form link with a user name", "form link to an address", "form word of mixed alphabets", "link evil.test"} {
		if !slices.Contains(shown(tokens), want) {
			t.Errorf("%q is missing in %q", want, shown(tokens))
		}
	}
}

const sample = "Received: from helo.example.net (mail.example.net [198.51.100.9])\r\n\tby mx.home.test with ESMTPS id x; Mon, 02 Mar 2026 10:00:00 +0000\r\n" +
	"Received: from laptop (unknown [10.0.0.1]) by relay.example.net with ESMTP id y; Mon, 02 Mar 2026 09:59:00 +0000\r\n" +
	"Received: from a by b; Mon, 02 Mar 2026 09:59:00 +0000\r\n" +
	"DKIM-Signature: v=1; d=example.net\r\n" +
	"From: =?utf-8?Q?J=C3=BCrgen_Klein?= <Juergen@mail.Example.net>\r\nReply-To: other@elsewhere.test\r\nTo: me@home.test\r\n" +
	"Subject: =?iso-8859-1?Q?Gr=FC=DFe_aus?= Wien\r\nMessage-ID: <1@host.example.net>\r\nX-Mailer: The Bat! 9\r\nList-Unsubscribe: <http://x>\r\nX-Secret: nothing\r\n" +
	"MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n" +
	"--b\r\nContent-Type: text/html; charset=iso-8859-1\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n<p>sch=F6ne <a href=3D\"https://track.shop.test/?id=3D99\">Angebote</a></p><script>evilscript</script>\r\n" +
	"--b\r\nContent-Type: application/zip; name=\"Rechnung M\xe4rz.PDF.zip\"\r\nContent-Disposition: attachment\r\nContent-Transfer-Encoding: base64\r\n\r\nUEsDBA==\r\n--b--\r\n"

func TestTokensTellWhereAMessageComesFromAndWhatItCarries(t *testing.T) {
	t.Parallel()
	got := shown(mustRead(t, sample))
	for _, want := range []string{
		"client 198.51.100.0/24", "client example.net", "client helo example.net", "client relay.example.net",
		"from juergen@mail.example.net", "from mail.example.net", "from example.net", "author's name jürgen", "author's name klein",
		"reply-to elsewhere.test", "reply-to other@elsewhere.test", "form answers go elsewhere",
		"subject grüße", "subject aus", "subject grüße aus", "subject aus wien", "message-id example.net",
		"mailer bat", "field list-unsubscribe", "field dkim-signature", "type text/html", "type charset iso-8859-1", "type application/zip",
		"file .zip", "file rechnung", "file märz", "word schöne", "word angebote", "link track.shop.test", "link shop.test", "form HTML alone",
	} {
		if !slices.Contains(got, want) {
			t.Errorf("%q is missing", want)
		}
	}
	for _, s := range got {
		for _, no := range []string{"evilscript", "x-secret", "word rechnung", "198.51.100.9", "10.0.0", "client b"} {
			if strings.Contains(s, no) {
				t.Errorf("%q should not be there", s)
			}
		}
	}
	if t.Failed() {
		t.Logf("%q", got)
	}
}

// TestFiledMessageGivesTheTokensOfTheOneJudged compares a message as it came,
// with its client known, with the same as it is filed.
func TestFiledMessageGivesTheTokensOfTheOneJudged(t *testing.T) {
	t.Parallel()
	own, bare, _ := strings.Cut(sample, "\r\nReceived: ")
	bare = "Received: " + bare
	before := parsed([]byte(bare))
	before.Client = Client{Addr: netip.MustParseAddr("198.51.100.9"), Helo: "helo.example.net", Name: "mail.example.net"}
	a, err := reader().Read(before)
	if err != nil {
		t.Fatal(err)
	}
	b := mustRead(t, "Return-Path: <x@y.test>\r\nDelivered-To: me@home.test\r\nAuthentication-Results: mx.home.test; spf=pass\r\n"+own+"\r\n"+bare)
	if !slices.Equal(shown(a), shown(b)) {
		t.Errorf("judged %q\nfiled %q", shown(a), shown(b))
	}
}

func TestForgedTraceFieldsNameNoClient(t *testing.T) {
	t.Parallel()
	raw := strings.Replace(sample, "Received: from a by b;", "Received: from good (good.test [203.0.113.5]) by mx.home.test;", 1)
	for _, s := range shown(mustRead(t, raw)) {
		if strings.Contains(s, "203.0.113") || strings.Contains(s, "good.test") {
			t.Error(s)
		}
	}
}

func TestLongTextIsSampledAndInnocentWordsInFrontHideNothing(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	for i := range 30_000 {
		fmt.Fprintf(&b, "padding%dx ", i)
	}
	filler := b.String()
	tokens := mustRead(t, "Subject: x\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\n"+filler+"\r\n--b\r\nContent-Type: text/html\r\n\r\n<p>http://bait.test/ pills</p>\r\n--b--\r\n")
	words := kindsIn(tokens, "word")
	if len(words) != maxWords {
		t.Errorf("%d words", len(words))
	}
	if !slices.Contains(kindsIn(tokens, "link"), "bait.test") {
		t.Error("a link behind much text is not seen")
	}
	late := 0
	for _, w := range words {
		n := 0
		if _, err := fmt.Sscanf(w, "padding%dx", &n); err == nil && n > 5000 {
			late++
		}
	}
	if late < maxWords/3 {
		t.Errorf("only %d of %d words are late ones", late, len(words))
	}
	if !slices.Equal(words, kindsIn(mustRead(t, "Subject: y\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\n"+filler+"\r\n--b\r\nContent-Type: text/html\r\n\r\n<p>http://bait.test/ pills</p>\r\n--b--\r\n"), "word")) {
		t.Error("the sample is another the next time")
	}
}

// counting counts what is read.
type counting struct {
	io.ReaderAt
	n int
}

func (c *counting) ReadAt(p []byte, off int64) (int, error) {
	n, err := c.ReaderAt.ReadAt(p, off)
	c.n += n
	return n, err
}

func TestLittleIsReadOfHugeMessages(t *testing.T) {
	t.Parallel()
	raw := []byte("Subject: x\r\nContent-Type: text/html\r\n\r\n" + strings.Repeat("<i><b></b></i>", 1<<20))
	m := parsed(raw)
	c := &counting{ReaderAt: m.Content}
	m.Content = c
	tokens, err := reader().Read(m)
	if err != nil || c.n > maxRead || tokens.Len() == 0 {
		t.Errorf("%v, %d octets read, %d tokens", err, c.n, tokens.Len())
	}
}

type broken struct{ io.ReaderAt }

var errBroken = errors.New("broken disk")

func (broken) ReadAt([]byte, int64) (int, error) { return 0, errBroken }

func TestErrorsOfTheDiskAreReported(t *testing.T) {
	t.Parallel()
	m := parsed([]byte(sample))
	m.Content = broken{}
	if _, err := reader().Read(m); !errors.Is(err, errBroken) {
		t.Errorf("%v", err)
	}
}

func TestUnknownTransferEncodingIsAMark(t *testing.T) {
	t.Parallel()
	got := shown(mustRead(t, "Content-Type: text/plain\r\nContent-Transfer-Encoding: x-rot13\r\n\r\nuryyb\r\n"))
	if !slices.Contains(got, "form unknown transfer encoding") || slices.Contains(got, "word uryyb") {
		t.Errorf("%q", got)
	}
}

func FuzzRead(f *testing.F) {
	f.Add([]byte(sample))
	f.Add([]byte("Received: from [\x00]) by by by\r\nFrom: \"a@b\" <@@>\r\nSubject: =?utf-8?B?////?=\r\n\r\nhttp://@/ www. \xff\xfe 今\xe4"))
	f.Add([]byte("Content-Type: text/html\r\n\r\n<a href='http://[::1]/'>x</a>&#8203;&shy;"))
	f.Add([]byte("Content-Type: multipart/mixed; boundary=\"\"\r\n\r\n--\r\nContent-Disposition: x; filename*=utf-8''%ff.%00\r\n\r\n"))
	for i, l := range languages() {
		c := newCorpus(l, uint64(i))
		f.Add(c.spam())
	}
	filter := reader()
	f.Fuzz(func(t *testing.T, raw []byte) {
		tokens, err := filter.Read(parsed(raw))
		if err != nil {
			t.Fatal(err)
		}
		if tokens.Len() > maxWords+maxMarks {
			t.Fatalf("%d tokens", tokens.Len())
		}
		for i := range tokens.list {
			if i > 0 && tokens.list[i-1].hash >= tokens.list[i].hash {
				t.Fatal("not ascending")
			}
			where, text := tokens.show(i)
			if where == "" || len(text) > MaxReason || !utf8.ValidString(text) || strings.ContainsAny(text, "\r\n\x00") {
				t.Fatalf("%q %q", where, text)
			}
		}
		again, err := filter.Read(parsed(bytes.Clone(raw)))
		if err != nil || !slices.Equal(shown(again), shown(tokens)) {
			t.Fatal("read twice, it differs")
		}
	})
}
