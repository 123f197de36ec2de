package scan

import (
	"archive/zip"
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"posthorn/internal/wire/archive"
	"posthorn/internal/wire/mime"
)

var program = "MZ" + strings.Repeat("\x90", 300)

func zipFile(t testing.TB, flags uint16, files ...string) string {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for i := 0; i < len(files); i += 2 {
		h := &zip.FileHeader{Name: files[i], Flags: flags, UncompressedSize64: uint64(len(files[i+1])), CompressedSize64: uint64(len(files[i+1]))}
		f, err := w.CreateRaw(h)
		if err == nil {
			_, err = io.WriteString(f, files[i+1])
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// part is a body part in base64 with these fields.
func part(fields, content string) string {
	return fields + "\r\nContent-Transfer-Encoding: base64\r\n\r\n" + base64Lines([]byte(content))
}

func named(name, content string) string {
	return part("Content-Type: application/octet-stream\r\nContent-Disposition: attachment; filename=\""+name+"\"", content)
}

func multipart(parts ...string) string {
	return "From: a@example.test\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n" +
		strings.Join(parts, "\r\n--b\r\n") + "\r\n--b--\r\n"
}

func scanFor(t *testing.T, message string, rules ...Rule) Match {
	t.Helper()
	a, err := NewAttachments(AttachmentOptions{Rules: rules})
	if err != nil {
		t.Fatal(err)
	}
	m, err := a.Scan(t.Context(), mime.Parse([]byte(message)), strings.NewReader(message))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestRulesFitNames(t *testing.T) {
	t.Parallel()
	exe := Rule{Name: "r", Extensions: []string{"exe", ".tar.gz", "JS"}}
	glob := Rule{Name: "r", Names: []string{"Rechnung*.zip", "x?.[ab]"}}
	double := Rule{Name: "r", DoubleExtension: true}
	for _, c := range []struct {
		name string
		rule Rule
		want bool
	}{
		{"a.exe", exe, true}, {"A.EXE", exe, true}, {"a.exe.", exe, true}, {"a.exe . .", exe, true}, {"a.exe.txt", exe, false},
		{"exe", exe, false}, {"a.notexe", exe, false}, {".exe", exe, true}, {"a.tar.gz", exe, true}, {"a.gz", exe, false},
		{`C:\\dir\\a.js`, exe, true}, {"dir.exe/readme", exe, false}, {"a.e\u200bxe", exe, true}, {"a\u202etxt.exe", exe, true}, {"a.exe\t", exe, true},
		{"rechnung 5.ZIP", glob, true}, {"eine rechnung.zip", glob, false}, {"XY.B", glob, true}, {"xyz.b", glob, false}, {"dir/rechnung.zip", glob, true},
		{"invoice.pdf.exe", double, true}, {"photo.jpg        .scr", double, true}, {"a.pdf.zip", double, false}, {"v1.2.exe", double, false}, {"pdf.exe", double, false},
	} {
		if got := scanFor(t, multipart(named(c.name, "x")), c.rule).Rule != ""; got != c.want {
			t.Errorf("%q: %v", c.name, got)
		}
	}
}

func TestNamesAreFoundHoweverTheyAreWritten(t *testing.T) {
	t.Parallel()
	rule := Rule{Name: "no programs", Extensions: []string{"exe"}}
	for _, fields := range []string{
		"Content-Type: text/plain; name=a.exe",
		"Content-Disposition: attachment; filename=\"a.exe\"",
		"Content-Disposition: attachment; filename=a.txt\r\nContent-Type: text/plain; name=a.exe",
		"Content-Disposition: attachment; filename*=UTF-8''%e2%82%ac%2eexe",
		"Content-Disposition: attachment; filename*0=\"a.\"; filename*1=exe",
		"Content-Disposition: attachment; filename*0*=utf-8''a%2; filename*1*=eexe",
		"Content-Disposition: attachment; filename=\"=?utf-8?B?YS5leGU=?=\"",
		"Content-Type: application/x; name=\"=?utf-8?Q?a=2Eexe?=\"",
	} {
		if m := scanFor(t, multipart("\r\ntext", part(fields, "x")), rule); m.Rule != "no programs" || !strings.Contains(m.Reason, "extension exe") {
			t.Errorf("%s: %+v", fields, m)
		}
	}
}

func TestRulesFitTypesAndStates(t *testing.T) {
	t.Parallel()
	bomb := zipFile(t, 0, "a", "x")
	deep := "text"
	for range 6 {
		deep = zipFile(t, 0, "in.zip", deep)
	}
	hidden := multipart(named("evil.exe", program))
	for _, c := range []struct {
		name, message string
		rule          Rule
		want          string // in the reason; "" for no match
	}{
		{"program called text", multipart(named("a.txt", program)), Rule{Types: []string{"exe"}}, `the attachment "a.txt" fits the rule r (really of type exe)`},
		{"any program", multipart(named("a.txt", "#!/bin/sh\n")), Rule{Types: []string{"executable"}}, "script"},
		{"no program", multipart(named("a.exe", "text")), Rule{Types: []string{"executable"}}, ""},
		{"any archive", multipart(named("a", zipFile(t, 0, "x", "y"))), Rule{Types: []string{"archive"}}, "type zip"},
		{"declared", multipart(part("Content-Type: image/PNG", "x")), Rule{Declared: []string{"image/*"}}, "the attachment without a name (image/png) fits the rule r (content type image/png)"},
		{"declared otherwise", multipart(part("Content-Type: text/plain", "x")), Rule{Declared: []string{"image/*"}}, ""},
		{"both conditions", multipart(named("a.txt", program)), Rule{Types: []string{"exe"}, Extensions: []string{"txt"}}, "extension txt, really of type exe"},
		{"one condition of two", multipart(named("a.doc", program)), Rule{Types: []string{"exe"}, Extensions: []string{"txt"}}, ""},
		{"member", multipart(named("a.zip", zipFile(t, 0, "t.txt", "x", "dir/b.exe", program))), Rule{Types: []string{"exe"}, Members: true}, `"a.zip" > "dir/b.exe"`},
		{"member's name", multipart(named("a.zip", zipFile(t, 1, "b.exe", "secret"))), Rule{Extensions: []string{"exe"}, Members: true}, `"a.zip" > "b.exe"`},
		{"members are not asked for", multipart(named("a.zip", zipFile(t, 0, "b.exe", program))), Rule{Types: []string{"exe"}}, ""},
		{"member of a member", multipart(named("a.zip", zipFile(t, 0, "in.zip", zipFile(t, 0, "b.exe", program)))), Rule{Types: []string{"exe"}, Members: true}, `"a.zip" > "in.zip" > "b.exe"`},
		{"encrypted", multipart(named("a.zip", zipFile(t, 1, "b.txt", "secret"))), Rule{Encrypted: true}, "encrypted"},
		{"not encrypted", multipart(named("a.zip", zipFile(t, 0, "b.txt", "open"))), Rule{Encrypted: true, Members: true}, ""},
		{"broken", multipart(named("a.zip", bomb[:len(bomb)-10])), Rule{Broken: true}, "broken"},
		{"bound", multipart(named("a.zip", deep)), Rule{Bound: true}, "bound depth"},
		{"macros", multipart(named("a.docm", zipFile(t, 0, "[Content_Types].xml", "<", "word/vbaProject.bin", "x"))), Rule{Macros: true, Types: []string{"ooxml"}}, "really of type ooxml, has macros"},
		{"whole message", "Content-Type: application/zip; name=a.zip\r\nContent-Transfer-Encoding: base64\r\n\r\n" + base64Lines([]byte(bomb)), Rule{Types: []string{"zip"}}, "zip"},
		{"attached message", multipart("Content-Type: message/rfc822\r\n\r\n" + hidden), Rule{Types: []string{"exe"}}, "evil.exe"},
		{"attached message in base64", multipart(part("Content-Type: message/rfc822", hidden)), Rule{Types: []string{"exe"}}, "evil.exe"},
		{"name in a message in base64", multipart(part("Content-Type: message/rfc822", hidden)), Rule{Extensions: []string{"exe"}}, "evil.exe"},
		{"quoted-printable", multipart("Content-Type: text/x; name=a.txt\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n=23!/bin/sh\r\n"), Rule{Types: []string{"script"}}, "script"},
		{"unknown encoding", multipart("Content-Type: text/x; name=a.txt\r\nContent-Transfer-Encoding: x-own\r\n\r\n#!/bin/sh\r\n"), Rule{Types: []string{"script"}}, "script"},
		{"reason in one line", multipart(part("Content-Disposition: attachment; filename*=utf-8''a%0d%0ab%22.exe", program)), Rule{Types: []string{"exe"}}, `attachment "a??b'.exe"`},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			c.rule.Name = "r"
			m := scanFor(t, c.message, c.rule)
			if (m.Rule == "") != (c.want == "") || !strings.Contains(m.Reason, c.want) {
				t.Errorf("%+v", m)
			}
		})
	}
}

func TestFirstRuleOfTheFirstPartWins(t *testing.T) {
	t.Parallel()
	a, b := Rule{Name: "a", Extensions: []string{"exe"}}, Rule{Name: "b", Extensions: []string{"txt"}}
	if m := scanFor(t, multipart(named("x.txt", "x"), named("y.exe", "y")), a, b); m.Rule != "b" {
		t.Errorf("%+v", m)
	}
	if m := scanFor(t, multipart(named("x.txt", "x")), a); m != (Match{}) {
		t.Errorf("%+v", m)
	}
	if m := scanFor(t, multipart(named("x.txt", "x"))); m != (Match{}) {
		t.Errorf("no rules: %+v", m)
	}
}

func TestGzippedFileWithoutANameHasItsOwn(t *testing.T) {
	t.Parallel()
	// gzip of a few octets, no name in its header
	raw, err := base64.StdEncoding.DecodeString("H4sIAAAAAAAC/8uoBADcnsqwAgAAAA==")
	if err != nil {
		t.Fatal(err)
	}
	m := scanFor(t, multipart(named("Setup.EXE.gz", string(raw))), Rule{Name: "r", Extensions: []string{"exe"}, Members: true})
	if m.Attachment != `"Setup.EXE.gz" > its content` {
		t.Errorf("%+v", m)
	}
}

func TestLimitsHoldForTheWholeMessage(t *testing.T) {
	t.Parallel()
	var parts []string
	for i := range 10 {
		parts = append(parts, named(fmt.Sprintf("%d.zip", i), zipFile(t, 0, "a", "x", "b", "x", "c", "x")))
	}
	message := multipart(parts...)
	a, err := NewAttachments(AttachmentOptions{Limits: archive.Limits{Items: 10}})
	if err != nil {
		t.Fatal(err)
	}
	all, err := a.List(t.Context(), mime.Parse([]byte(message)), strings.NewReader(message))
	if err != nil || len(all) != 10 {
		t.Fatalf("%d, %v", len(all), err)
	}
	items := 0
	for _, f := range all {
		items += len(f.Report.Items) - 1
	}
	if items > 10 || all[9].Report.Bound != archive.BoundItems || all[0].Report.Bound != archive.BoundNone {
		t.Errorf("%d items, last %+v", items, all[9].Report)
	}
}

func TestWrongRulesAreRefused(t *testing.T) {
	t.Parallel()
	for _, r := range []Rule{
		{}, {Name: "x"}, {Name: "x", Members: true}, {Extensions: []string{"exe"}}, {Name: "x", Names: []string{"[a"}}, {Name: "x", Names: []string{""}},
		{Name: "x", Extensions: []string{"."}}, {Name: "x", Extensions: []string{"*"}}, {Name: "x", Declared: []string{"text"}}, {Name: "x", Types: []string{"exes"}},
	} {
		if _, err := NewAttachments(AttachmentOptions{Rules: []Rule{r}}); err == nil {
			t.Errorf("%+v is taken", r)
		}
	}
}

type badDisk struct{ err error }

func (b badDisk) ReadAt([]byte, int64) (int, error) { return 0, b.err }

func TestUnreadableMessageIsAnError(t *testing.T) {
	t.Parallel()
	a, err := NewAttachments(AttachmentOptions{Rules: []Rule{{Name: "r", Types: []string{"exe"}}}})
	if err != nil {
		t.Fatal(err)
	}
	disk := errors.New("disk")
	s := mime.Parse([]byte(multipart(named("a", "x"))))
	if _, err := a.Scan(t.Context(), s, badDisk{disk}); !errors.Is(err, disk) {
		t.Error(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := a.Scan(ctx, s, readerAt{iotest.ErrReader(disk)}); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

func FuzzAttachments(f *testing.F) {
	f.Add(multipart(named("a.exe", program), part("Content-Type: message/rfc822", multipart(named("b.zip", "PK\x03\x04")))), "*.exe")
	f.Add(multipart(part("Content-Disposition: attachment; filename*=utf-8''%0d%0a", "x")), "?")
	f.Fuzz(func(t *testing.T, message, pattern string) {
		rules := []Rule{{Name: "types", Types: []string{"exe"}, Members: true}, {Name: "double", DoubleExtension: true}, {Name: "names", Names: []string{pattern}, Members: true}}
		a, err := NewAttachments(AttachmentOptions{Rules: rules})
		if err != nil {
			return
		}
		m, err := a.Scan(t.Context(), mime.Parse([]byte(message)), strings.NewReader(message))
		if err != nil {
			t.Fatal(err)
		}
		if strings.ContainsAny(m.Attachment, "\r\n\x00") || len(m.Attachment) > 5*300+100 {
			t.Fatalf("%+v", m)
		}
	})
}
