package e2e

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"io"
	"mime"
	"slices"
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapclient"
	"golang.org/x/text/encoding/htmlindex"
)

// folders are mailbox names in three languages, with levels and with the
// character that modified UTF-7 escapes.
func folders() []string {
	return []string{"Entwürfe/Größe", "下書き", "草稿箱", "旅行の写真 & more/子"}
}

// utf7 writes a mailbox name in modified UTF-7 (RFC 3501 §5.1.3).
func utf7(name string) string {
	var b strings.Builder
	var shifted []rune
	flush := func() {
		var octets []byte
		for _, u := range utf16.Encode(shifted) {
			octets = append(octets, byte(u>>8), byte(u))
		}
		if len(octets) > 0 {
			b.WriteString("&" + strings.ReplaceAll(base64.RawStdEncoding.EncodeToString(octets), "/", ",") + "-")
		}
		shifted = nil
	}
	for _, r := range name {
		if r < ' ' || r > '~' {
			shifted = append(shifted, r)
			continue
		}
		flush()
		b.WriteString(strings.ReplaceAll(string(r), "&", "&-"))
	}
	flush()
	return b.String()
}

// letter is a message whose fields a reader must be able to decode.
type letter struct {
	message
	author, subject, id string
}

// letters are mails in three languages and the charsets of their countries.
func letters(from, to string) []letter {
	var all []letter
	for i, x := range []struct{ charset, encoding, author, subject, text string }{
		{"iso-8859-1", "8bit", "Jörg Groß", "Schöne Grüße aus Köln", "Viele Grüße\r\n.\r\nFrom Jörg\r\n"},
		{"iso-2022-jp", "7bit", "山田 太郎", "旅行の写真", "こんにちは、世界。\r\n..\r\n"},
		{"gb18030", "8bit", "王小明", "会议记录", "你好，世界。\r\n"},
		{"utf-8", "8bit", "Ödön 日本 中国", "größer より 大", "Grüße、こんにちは、你好\r\n"},
	} {
		id := fmt.Sprintf("<%d.%s>", i, from)
		content := fmt.Sprintf("From: %s\r\n <%s>\r\nTo: %s\r\n <%s>\r\nSubject: %s\r\nDate: Sun, 22 Nov 2026 10:01:%02d +0000\r\nMessage-ID: %s\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=%s\r\nContent-Transfer-Encoding: %s\r\n\r\n%s",
			word(x.charset, x.author), from, word(x.charset, x.author), to, word(x.charset, x.subject), i, id, x.charset, x.encoding, charset(x.charset, x.text))
		all = append(all, letter{message{x.charset, []byte(content)}, x.author, x.subject, id})
	}
	return all
}

// charset writes a text in the charset.
func charset(name, text string) string {
	e, err := htmlindex.Get(name)
	if err != nil {
		panic(err)
	}
	out, err := e.NewEncoder().String(text)
	if err != nil {
		panic(err)
	}
	return out
}

// word is an encoded-word (RFC 2047 §2) that stands for the text.
func word(name, text string) string {
	return "=?" + name + "?B?" + base64.StdEncoding.EncodeToString([]byte(charset(name, text))) + "?="
}

// words decodes encoded-words in any charset.
func words() *mime.WordDecoder {
	return &mime.WordDecoder{CharsetReader: func(name string, in io.Reader) (io.Reader, error) {
		e, err := htmlindex.Get(name)
		if err != nil {
			return nil, err
		}
		return e.NewDecoder().Reader(in), nil
	}}
}

// texts are the contents alone.
func texts(all []letter) []message {
	var m []message
	for _, l := range all {
		m = append(m, l.message)
	}
	return m
}

// received fails the test unless the mailbox holds these letters and nothing
// else, octet for octet, with names and subjects that IMAP clients can show.
func (p *post) received(who, mailbox string, sent []letter) {
	p.t.Helper()
	c := p.imap(who)
	found := messages(p.t, c, mailbox)
	if len(found) != len(sent) {
		p.t.Errorf("%s has %d messages in %s, %d were sent", who, len(found), mailbox, len(sent))
	}
	for _, l := range sent {
		matches := 0
		for got := range found {
			if strings.HasSuffix(got, string(l.content)) {
				unchanged(p.t, l.name, []byte(got), l.content)
				matches++
			}
		}
		if matches != 1 {
			p.t.Errorf("%s: %d times in %s of %s", l.name, matches, mailbox, who)
			for got := range found {
				if strings.Contains(got, l.id) {
					p.t.Logf("it ends %q\n  not %q", got[max(0, len(got)-200):], l.content[max(0, len(l.content)-200):])
				}
			}
		}
	}
	shown := p.shown(who, mailbox)
	for _, l := range sent {
		if want := l.author + ": " + l.subject; !slices.Contains(shown, want) {
			p.t.Errorf("no %q among %q", want, shown)
		}
	}
}

// shown are "display name: subject" of the messages of a mailbox.
func (p *post) shown(who, mailbox string) []string {
	p.t.Helper()
	c, err := imapclient.DialTLS(p.Addr("imaps"), &imapclient.Options{TLSConfig: p.trust(), WordDecoder: words()})
	if err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() { _ = c.Close() }) // the test is over
	if err := c.Login(who, password).Wait(); err != nil {
		p.t.Fatal(err)
	}
	if box, err := c.Select(mailbox, &imap.SelectOptions{ReadOnly: true}).Wait(); err != nil {
		p.t.Fatal(err)
	} else if box.NumMessages == 0 {
		return nil
	}
	all, err := c.Fetch(imap.SeqSet{{Start: 1, Stop: 0}}, &imap.FetchOptions{Envelope: true}).Collect()
	if err != nil {
		p.t.Fatal(err)
	}
	var found []string
	for _, m := range all {
		name := ""
		if len(m.Envelope.From) == 1 {
			name = m.Envelope.From[0].Name
		}
		found = append(found, name+": "+m.Envelope.Subject)
	}
	return found
}

// listed fails the test unless the account has all folders by these names.
func (p *post) listed(who string) {
	p.t.Helper()
	all, err := p.imap(who).List("", "*", nil).Collect()
	if err != nil {
		p.t.Fatal(err)
	}
	var names []string
	for _, x := range all {
		names = append(names, x.Mailbox)
	}
	for _, name := range folders() {
		if !slices.Contains(names, name) {
			p.t.Errorf("%s has no %s among %q", who, name, names)
		}
	}
}

// furnish makes the folders, each with one of the letters, flagged.
func (p *post) furnish(who string, all []letter) {
	p.t.Helper()
	c := p.imap(who)
	for i, name := range folders() {
		if err := c.Create(name, nil).Wait(); err != nil {
			p.t.Fatal(err)
		}
		if err := c.Subscribe(name).Wait(); err != nil {
			p.t.Fatal(err)
		}
		store(p.t, c, name, all[i%len(all)].content, imap.FlagFlagged)
	}
}

// deliver brings letters into the INBOX as a server of another house would.
func (p *post) deliver(to string, all []letter) {
	p.t.Helper()
	c := p.imap(to)
	for _, l := range all {
		store(p.t, c, "INBOX", l.content)
	}
}

// unix is a message as programs keep it in files: with bare line feeds.
func unix(b []byte) []byte { return bytes.ReplaceAll(b, []byte("\r\n"), []byte("\n")) }

// kept fails the test unless the files are these messages, each once, under
// fields that the server or the client put on top.
func kept(t *testing.T, files map[string][]byte, sent []message) {
	t.Helper()
	if len(files) != len(sent) {
		t.Errorf("%d files of %d messages: %q", len(files), len(sent), names(files))
	}
	for _, m := range sent {
		matches := 0
		for _, content := range files {
			if bytes.HasSuffix(content, unix(m.content)) {
				matches++
			}
		}
		if matches != 1 {
			t.Errorf("%s is kept %d times", m.name, matches)
			for name, content := range files {
				t.Logf("%s: %q", name, content[:min(len(content), 500)])
			}
		}
	}
}

func names(files map[string][]byte) []string {
	var all []string
	for name := range files {
		all = append(all, name)
	}
	slices.Sort(all)
	return all
}
