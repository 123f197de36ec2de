package archive

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/flate"
	"compress/gzip"
	"encoding/base64"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
)

var program = []byte("MZ" + strings.Repeat("\x90", 300))

// entry is a member of a test archive.
type entry struct {
	name    string
	content []byte
}

func zipOf(t testing.TB, entries ...entry) []byte {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for _, e := range entries {
		f, err := w.Create(e.name)
		if err == nil {
			_, err = f.Write(e.content)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// rawZip makes one member by its header, sizes in the local header unless the
// flag for a descriptor is set.
func rawZip(t testing.TB, h *zip.FileHeader, packed []byte) []byte {
	t.Helper()
	h.CompressedSize64 = uint64(len(packed))
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	f, err := w.CreateRaw(h)
	if err == nil {
		_, err = f.Write(packed)
	}
	if err := errors.Join(err, w.Close()); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func deflated(t testing.TB, content []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := flate.NewWriter(&b, 9)
	if err == nil {
		_, err = w.Write(content)
	}
	if err := errors.Join(err, w.Close()); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func gzipOf(t testing.TB, name string, content []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	w.Name = name
	_, err := w.Write(content)
	if err := errors.Join(err, w.Close()); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func tarOf(t testing.TB, entries ...entry) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, e := range entries {
		err := w.WriteHeader(&tar.Header{Name: e.name, Size: int64(len(e.content)), Mode: 0o644})
		if err == nil {
			_, err = w.Write(e.content)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// bzip2Program is program-like content, packed by bzip2.
const bzip2Program = "QlpoOTFBWSZTWciP98cAAAJGBEAAAAIAEAQAIAAwzTQYyGqnF3JFOFCQyI/3xw=="

// noise cannot be packed.
func noise(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{1}).Read(b) // never fails
	return b
}

func walk(t *testing.T, file []byte, l Limits) *Report {
	t.Helper()
	var cut io.Reader = iotest.HalfReader(bytes.NewReader(file))
	if len(file) < 100_000 { // one octet at a time finds what depends on how the input is cut
		cut = iotest.OneByteReader(bytes.NewReader(file))
	}
	r, err := Walk(cut, l)
	if err != nil {
		t.Fatal(err)
	}
	whole, err := Walk(bytes.NewReader(file), l)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(r.Items, whole.Items) || r.Bound != whole.Bound || r.At != whole.At {
		t.Errorf("cut into octets: %+v; whole: %+v", r, whole)
	}
	return r
}

// describe writes a report in one line.
func describe(r *Report) string {
	var b strings.Builder
	for i, it := range r.Items {
		fmt.Fprintf(&b, "%s:%s", strings.Join(r.Path(i), ">"), it.Type)
		for _, f := range []struct {
			set  bool
			word string
		}{{it.Encrypted, "!encrypted"}, {it.Macros, "!macros"}, {it.Broken, "!broken"}} {
			if f.set {
				b.WriteString(f.word)
			}
		}
		b.WriteByte(' ')
	}
	return strings.TrimSpace(b.String() + string(r.Bound))
}

func TestArchivesAreListedWithRealTypes(t *testing.T) {
	t.Parallel()
	inner := zipOf(t, entry{"invoice.pdf.exe", program}, entry{"a.txt", []byte("text")})
	bz, err := base64.StdEncoding.DecodeString(bzip2Program)
	if err != nil {
		t.Fatal(err)
	}
	stored := rawZip(t, &zip.FileHeader{Name: "s.exe", UncompressedSize64: uint64(len(program)), CRC32: crc32.ChecksumIEEE(program)}, program)
	iso := append(make([]byte, isoOffset), "CD001"+strings.Repeat("\x00", 4000)...)
	ole := "\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + strings.Repeat("\x00", 70_000)
	for _, c := range []struct {
		name string
		file []byte
		want string
	}{
		{"zip", inner, ":zip invoice.pdf.exe:exe a.txt:"},
		{"stored member", stored, ":zip s.exe:exe"},
		{"zip in zip", zipOf(t, entry{"in/", nil}, entry{"in/x.zip", inner}, entry{"z", nil}),
			":zip in/x.zip:zip in/x.zip>invoice.pdf.exe:exe in/x.zip>a.txt: z:"},
		{"tar.gz", gzipOf(t, "t.tar", tarOf(t, entry{"a/b.sh", []byte("#!/bin/sh\n")}, entry{"z.zip", inner})),
			":gzip t.tar:tar t.tar>a/b.sh:script t.tar>z.zip:zip t.tar>z.zip>invoice.pdf.exe:exe t.tar>z.zip>a.txt:"},
		{"bzip2", bz, ":bzip2 :exe"},
		{"ooxml", zipOf(t, entry{"word/document.xml", []byte("<?xml")}, entry{"[Content_Types].xml", []byte("<?xml")}), ":ooxml word/document.xml: [Content_Types].xml:"},
		{"macros", zipOf(t, entry{"[Content_Types].xml", []byte("<?xml")}, entry{"word/vbaProject.bin", []byte(ole)}),
			":ooxml!macros [Content_Types].xml: word/vbaProject.bin:ole"},
		{"odf", zipOf(t, entry{"mimetype", []byte("application/vnd.oasis.opendocument.text")}, entry{"content.xml", nil}), ":odf mimetype: content.xml:"},
		{"jar", zipOf(t, entry{"META-INF/MANIFEST.MF", nil}, entry{"A.class", []byte("\xca\xfe\xba\xbe\x00\x00\x00\x41")}),
			":jar META-INF/MANIFEST.MF: A.class:class"},
		{"iso in zip", zipOf(t, entry{"disk.img", iso}), ":zip disk.img:iso"},
		{"old Office with macros", []byte(ole + string(utf16("_VBA_PROJECT")) + ole), ":ole!macros"},
		{"Office with password", []byte(ole[:16384-9] + string(utf16("EncryptedPackage"))), ":ole!encrypted"},
		{"nothing", nil, ":"},
		{"empty zip", zipOf(t), ":zip"},
		{"7z", []byte("7z\xbc\xaf\x27\x1c\x00\x04"), ":7z"},
		{"rar with encrypted headers", []byte("Rar!\x1a\x07\x01\x00\x01\x02\x03\x04\x0b\x04\x00\x00"), ":rar!encrypted"},
		{"rar", []byte("Rar!\x1a\x07\x01\x00\x01\x02\x03\x04\x0b\x01\x00\x00"), ":rar"},
		{"old rar with encrypted headers", []byte("Rar!\x1a\x07\x00\xce\x99\x73\x80\x00\x0d\x00\x00\x00\x00\x00\x00\x00"), ":rar!encrypted"},
		{"old rar with an encrypted file", []byte("Rar!\x1a\x07\x00\xcf\x90\x73\x00\x00\x0d\x00\x00\x00\x00\x00\x00\x00\x11\x22\x74\x04\x80\x20\x00"), ":rar!encrypted"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if got := describe(walk(t, c.file, Limits{})); got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
		})
	}
}

func TestEncryptedMembersAreListedAndSkipped(t *testing.T) {
	t.Parallel()
	secret := []byte("PK\x07\x08 in the middle \x00\x01\x02PK\x03\x04 of a secret")
	for _, flags := range []uint16{1, 1 | zipDescriptor} {
		file := rawZip(t, &zip.FileHeader{Name: "secret.exe", Flags: flags, Method: zip.Deflate, UncompressedSize64: 400}, secret)
		r := walk(t, file, Limits{})
		if got := describe(r); got != ":zip!encrypted secret.exe:!encrypted" || r.Items[1].Size != 400 {
			t.Errorf("flags %d: %s, size %d", flags, got, r.Items[1].Size)
		}
	}
}

func TestMemberOfUnknownLengthIsReadToItsDescriptor(t *testing.T) {
	t.Parallel()
	inner := zipOf(t, entry{"x.exe", program}) // full of signatures itself
	file := rawZip(t, &zip.FileHeader{Name: "in.zip", Flags: zipDescriptor, UncompressedSize64: uint64(len(inner))}, inner)
	if got := describe(walk(t, file, Limits{})); got != ":zip in.zip:zip in.zip>x.exe:exe" {
		t.Error(got)
	}
}

func TestBoundsEndTheWalk(t *testing.T) {
	t.Parallel()
	zeros := gzipOf(t, "zeros", make([]byte, 4<<20))
	nested := []byte("text")
	for range 5 {
		nested = zipOf(t, entry{"in.zip", nested})
	}
	var many, folders []entry
	for i := range 50 {
		folders = append(folders, entry{fmt.Sprint(i, "/"), nil})
		many = append(many, entry{fmt.Sprint(i), []byte("x")})
	}
	wide := noise(3 << 20)
	for _, c := range []struct {
		name   string
		file   []byte
		limits Limits
		want   Bound
		most   int // items
	}{
		{"ratio", gzipOf(t, "", zeros), Limits{}, BoundNone, 3}, // a gzip member's beginning is enough
		{"ratio of a container", zipOf(t, entry{"t.tar", tarOf(t, entry{"zeros", make([]byte, 4<<20)}, entry{"z", nil})}), Limits{}, BoundRatio, 3},
		{"ratio claimed", rawZip(t, &zip.FileHeader{Name: "a", Method: zip.Deflate, UncompressedSize64: 1 << 30}, deflated(t, []byte("x"))), Limits{}, BoundRatio, 2},
		{"ratio in the directory alone", zipOf(t, entry{"zeros", make([]byte, 2<<20)}), Limits{Ratio: 3000}, BoundNone, 2},
		{"output", gzipOf(t, "", tarOf(t, entry{"wide", wide}, entry{"z", nil})), Limits{Output: 1 << 20}, BoundOutput, 3},
		{"depth", nested, Limits{}, BoundDepth, 4},
		{"items", zipOf(t, many...), Limits{Items: 10}, BoundItems, 10},
		{"folders", zipOf(t, folders...), Limits{Items: 10}, BoundItems, 1},
		{"time", zipOf(t, many...), Limits{Expired: func() bool { return true }}, BoundTime, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := walk(t, c.file, c.limits)
			if r.Bound != c.want || len(r.Items) > c.most {
				t.Errorf("bound %q, %d items: %s", r.Bound, len(r.Items), describe(r))
			}
			if r.Out > c.limits.complete().Output+timeStep {
				t.Errorf("%d octets unpacked", r.Out)
			}
		})
	}
}

func TestTimeIsWatchedWithinOneMember(t *testing.T) {
	t.Parallel()
	wide := noise(3 << 20)
	asked := 0
	r, err := Walk(bytes.NewReader(gzipOf(t, "", tarOf(t, entry{"wide", wide}, entry{"z", nil}))), Limits{Expired: func() bool { asked++; return asked > 5 }})
	if err != nil || r.Bound != BoundTime || r.Out > 1<<20 {
		t.Errorf("%v, %s after %d octets", err, r.Bound, r.Out)
	}
}

func TestWhatContradictsItselfIsBroken(t *testing.T) {
	t.Parallel()
	good := zipOf(t, entry{"readme.txt", []byte("hello")})
	evil := zipOf(t, entry{"evil.exe", program})
	renamed := bytes.Clone(good)
	at := bytes.LastIndex(renamed, []byte("readme.txt"))
	copy(renamed[at:], "readme.exe")
	for _, c := range []struct {
		name string
		file []byte
		want string
	}{
		{"cut short", good[:len(good)-30], ":zip!broken readme.txt:"},
		{"cut in a member", evil[:45], ":zip!broken evil.exe:exe"},
		{"two names", renamed, ":zip!broken readme.txt: readme.exe:"},
		{"a second archive behind", slices.Concat(good, evil), ":zip readme.txt: evil.exe:exe"},
		{"rubbish between", slices.Concat(good, []byte("rubbish"), evil), ":zip!broken readme.txt: evil.exe:exe"},
		{"rubbish behind", append(bytes.Clone(good), "rubbish"...), ":zip!broken readme.txt:"},
		{"padding behind", append(bytes.Clone(good), make([]byte, 5000)...), ":zip readme.txt:"},
		{"hidden in a member", hidden(t, evil), ":zip!broken cover.txt: evil.exe:"},
		{"behind a picture", append([]byte("GIF89a"), evil...), ":gif evil.exe:"},
		{"behind a program", append(bytes.Clone(program), evil...), ":exe evil.exe:"},
		{"swallowed", append([]byte("PK\x03\x04\x14\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\xff\xff\xff\x0f\xff\xff\xff\x0f\x01\x00\x00\x00a"), evil...), ":zip!broken a:zip a>evil.exe:exe evil.exe:"},
		{"swallowed by rubbish", append([]byte("PK\x03\x04 rubbish"), evil...), ":zip!encrypted!broken :!encrypted evil.exe:"},
		{"swallowed by a name", append([]byte("PK\x03\x04"+strings.Repeat("\xff", 26)), evil...), ":zip!broken evil.exe:"},
		{"gzip header alone", []byte("\x1f\x8b\x08\x00"), ":gzip!broken"},
		{"gzip with a wrong block", append(gzipOf(t, "", nil)[:10], 0xff, 0xff, 0xff), ":gzip!broken :"},
		{"tar cut short", tarOf(t, entry{"a", program})[:600], ":tar!broken a:exe"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if got := describe(walk(t, c.file, Limits{})); got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
		})
	}
}

// hidden is an archive whose directory names a member inside another's
// content.
func hidden(t *testing.T, evil []byte) []byte {
	t.Helper()
	directory := bytes.Index(evil, []byte("PK\x01\x02"))
	content := append([]byte("hello "), evil[:directory]...)
	cover := rawZip(t, &zip.FileHeader{Name: "cover.txt", UncompressedSize64: uint64(len(content))}, content)
	front := cover[:bytes.LastIndex(cover, []byte("PK\x01\x02"))]
	tail := bytes.Clone(evil[directory:])
	tail[42] = byte(bytes.Index(front, content) + len("hello ")) // the offset of the member's header
	return slices.Concat(front, tail)
}

func TestSourceErrorIsReturned(t *testing.T) {
	t.Parallel()
	broken := errors.New("disk")
	file := zipOf(t, entry{"a", program})
	for _, n := range []int{0, 10, 40, len(file) - 5} {
		_, err := Walk(io.MultiReader(bytes.NewReader(file[:n]), iotest.ErrReader(broken)), Limits{})
		if !errors.Is(err, broken) {
			t.Errorf("after %d octets: %v", n, err)
		}
	}
}

func TestNamesAreFitToBeShown(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("ä", 300) + ".exe"
	for name, want := range map[string]string{
		"plain.txt":                  "plain.txt",
		"a\r\nb\x00c":                "a??b?c",
		"exe.\u202egpj.exe":          "exe.?gpj.exe",
		"x\u2028y":                   "x?y",
		"bad\xff.txt":                "bad\uFFFD.txt",
		"":                           "",
		strings.Repeat("\xff", 1000): "",
	} {
		got := CleanName(name)
		if want != "" && got != want || len(got) > MaxName {
			t.Errorf("%q becomes %q", name, got)
		}
	}
	if got := CleanName(long); len(got) > MaxName || !strings.HasSuffix(got, "ää.exe") || !strings.HasPrefix(got, "ää") || strings.ContainsRune(got, '\uFFFD') {
		t.Errorf("%q", got)
	}
	if got := zipName([]byte("\x81bung.exe")); got != "übung.exe" {
		t.Errorf("code page 437: %q", got)
	}
}

func TestTypesHaveWords(t *testing.T) {
	t.Parallel()
	for _, m := range magics {
		if got, ok := ParseType(string(m.kind)); !ok || got != m.kind {
			t.Errorf("%s is not listed", m.kind)
		}
	}
	if _, ok := ParseType("nonsense"); ok {
		t.Error("nonsense is a type")
	}
	if !LNK.IsExecutable() || OLE.IsExecutable() || !ISO.IsArchive() || OOXML.IsArchive() {
		t.Error("kinds of types")
	}
}

func FuzzWalk(f *testing.F) {
	inner := zipOf(f, entry{"a.exe", program}, entry{"b/", nil})
	f.Add(inner)
	f.Add(zipOf(f, entry{"in.zip", inner}, entry{"t.tgz", gzipOf(f, "t.tar", tarOf(f, entry{"x", inner}))}))
	f.Add(rawZip(f, &zip.FileHeader{Name: "s", Flags: 1 | zipDescriptor}, []byte("secret")))
	f.Add(tarOf(f, entry{"x", inner}))
	bz, err := base64.StdEncoding.DecodeString(bzip2Program)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(bz)
	f.Add([]byte("Rar!\x1a\x07\x00\xcf\x90\x73\x00\x00\x0d\x00"))
	f.Fuzz(func(t *testing.T, file []byte) {
		limits := Limits{Output: 1 << 22, Items: 500}
		r, err := Walk(bytes.NewReader(file), limits)
		if err != nil {
			t.Fatal(err)
		}
		if len(r.Items) > limits.Items || r.Out > limits.Output+timeStep || r.In > int64(len(file)) {
			t.Fatalf("%d items, %d octets in, %d out", len(r.Items), r.In, r.Out)
		}
		for i, it := range r.Items {
			if i > 0 && (it.Parent < 0 || it.Parent >= i) || it.Depth > 3 || len(it.Name) > MaxName || CleanName(it.Name) != it.Name {
				t.Fatalf("item %d: %+v", i, it)
			}
		}
	})
}
