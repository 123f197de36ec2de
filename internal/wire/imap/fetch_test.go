package imap

import (
	"reflect"
	"strings"
	"testing"
)

func TestFetchArguments(t *testing.T) {
	t.Parallel()
	const fast = FetchFlags | FetchInternalDate | FetchSize
	one := set(t, "1")
	for text, want := range map[string]Fetch{
		` 1 ALL`:                    {Set: one, Attrs: fast | FetchEnvelope},
		` 1 fast`:                   {Set: one, Attrs: fast},
		` 1 Full`:                   {Set: one, Attrs: fast | FetchEnvelope | FetchBody},
		` 1:* (FLAGS)`:              {Set: set(t, "1:*"), Attrs: FetchFlags},
		` $ UID`:                    {Set: set(t, "$"), Attrs: FetchUID},
		` 1 (UID RFC822.SIZE BODY)`: {Set: one, Attrs: FetchUID | FetchSize | FetchBody},
		` 1 BODYSTRUCTURE`:          {Set: one, Attrs: FetchBodyStructure},
		` 1 (PREVIEW (LAZY) EMAILID THREADID SAVEDATE)`: {Set: one,
			Attrs: FetchPreviewLazy | FetchEmailID | FetchThreadID | FetchSaveDate},
		` 1 PREVIEW (CHANGEDSINCE 7)`:              {Set: one, Attrs: FetchPreview, ChangedSince: 7},
		` 1 (FLAGS) (CHANGEDSINCE 12345 VANISHED)`: {Set: one, Attrs: FetchFlags, ChangedSince: 12345, Vanished: true},
		` 1:* FLAGS (PARTIAL -1:-100)`:             {Set: set(t, "1:*"), Attrs: FetchFlags, Window: Window{-1, -100}},
		` 1 BODY[]`:                                {Set: one, Sections: []Section{{}}},
		` 1 body.peek[]<0.2048>`:                   {Set: one, Sections: []Section{{Peek: true, Partial: true, Length: 2048}}},
		` 1 BODY[1.2.MIME]`:                        {Set: one, Sections: []Section{{Path: []uint32{1, 2}, Part: PartMIME}}},
		` 1 BODY[4.1]<5.1>`:                        {Set: one, Sections: []Section{{Path: []uint32{4, 1}, Partial: true, Offset: 5, Length: 1}}},
		` 1 (BODY[TEXT] BODY[HEADER])`:             {Set: one, Sections: []Section{{Part: PartText}, {Part: PartHeader}}},
		` 1 BODY.PEEK[HEADER.FIELDS (From "To" {2}` + "\r\nCC)]": {Set: one,
			Sections: []Section{{Peek: true, Part: PartHeaderFields, Fields: []string{"From", "To", "CC"}}}},
		` 1 BODY[2.HEADER.FIELDS.NOT (X)]`: {Set: one, Sections: []Section{{Path: []uint32{2}, Part: PartHeaderFieldsNot, Fields: []string{"X"}}}},
		` 1 (RFC822 RFC822.HEADER RFC822.TEXT)`: {Set: one, Sections: []Section{{Form: FormRFC822},
			{Form: FormRFC822Header, Peek: true, Part: PartHeader}, {Form: FormRFC822Text, Part: PartText}}},
		` 1 (BINARY[1] BINARY.PEEK[]<1.2> BINARY.SIZE[2.3])`: {Set: one, Sections: []Section{{Form: FormBinary, Path: []uint32{1}},
			{Form: FormBinary, Peek: true, Partial: true, Offset: 1, Length: 2}, {Form: FormBinarySize, Peek: true, Path: []uint32{2, 3}}}},
	} {
		got, err := args(t, text).Fetch()
		equal(t, text, got, err, want)
		text := " " + string(got.Append(nil))
		again, err := args(t, text).Fetch()
		equal(t, text, again, err, want)
	}
}

func TestFetchFaults(t *testing.T) {
	t.Parallel()
	refuse(t, func(d *Decoder) error { _, err := d.Fetch(); return err },
		``, ` `, ` 1`, ` 1 `, ` 1 ()`, ` 1 (ALL)`, ` 1 FOO`, ` 1 (FLAGS`, ` 1 (FLAGS))`, ` 1 (FLAGS  UID)`, ` 1 FLAGS UID`, ` 1 FLAGS ()`,
		` 1 (FLAGS)(UID)`, ` 1 BODY[`, ` 1 BODY[1.]`, ` 1 BODY[0]`, ` 1 BODY[MIME]`, ` 1 BODY[1.FOO]`, ` 1 BODY[HEADER.FIELDS]`,
		` 1 BODY[HEADER.FIELDS ()]`, ` 1 BODY[HEADER.FIELDS ("")]`, ` 1 BODY[HEADER.FIELDS ("a b")]`, ` 1 BODY[HEADER.FIELDS (a:)]`, ` 1 BODY[]<1>`,
		` 1 BODY[]<1.0>`, ` 1 BODY[]<1.2`, ` 1 BODY[]<-1.2>`, ` 1 BODY[]<4294967296.2>`, ` 1 BINARY[HEADER]`, ` 1 BINARY[1.TEXT]`,
		` 1 BINARY.SIZE[1]<0.1>`, ` 1 BINARY`, ` 1 FLAGS (VANISHED)`, ` 1 FLAGS (CHANGEDSINCE 0)`, ` 1 FLAGS (CHANGEDSINCE)`, ` 1 FLAGS (FOO)`,
		` 1 FLAGS (PARTIAL 1:-1)`, ` 1 FLAGS (PARTIAL 0:1)`, ` 1 FLAGS (PARTIAL 1)`, ` a FLAGS`,
		` 1 BODY[`+strings.Repeat("1.", 100)+`1]`, ` 1 (`+strings.Repeat("BODY[] ", 256)+`BODY[])`,
		` 1 BODY[HEADER.FIELDS (`+strings.Repeat("a ", 1000)+`a)]`, ` 1 `+strings.Repeat("(", 60000))
}

func TestSectionsAreNamedInResponsesWithoutPeekAndLength(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		`BODY.PEEK[]<0.2048>`:                  `BODY[]<0>`,
		`BODY.PEEK[1.HEADER.FIELDS (To "a(")]`: `BODY[1.HEADER.FIELDS (To "a(")]`,
		`RFC822.HEADER`:                        `RFC822.HEADER`,
		`BINARY.PEEK[1]<3.4>`:                  `BINARY[1]<3>`,
		`BINARY.SIZE[1.2]`:                     `BINARY.SIZE[1.2]`,
	} {
		f, err := args(t, " 1 "+text).Fetch()
		if err != nil || len(f.Sections) != 1 {
			t.Fatal(text, err)
		}
		if got := string(f.Sections[0].AppendResponse(nil)); got != want {
			t.Errorf("%s answered as %s", text, got)
		}
	}
}

func TestWindowsCountFromEitherEnd(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		w      Window
		n      int
		lo, hi int
	}{
		{Window{}, 5, 0, 5}, {Window{1, 3}, 5, 0, 3}, {Window{2, 9}, 5, 1, 5}, {Window{6, 9}, 5, 5, 5},
		{Window{-1, -3}, 5, 2, 5}, {Window{-2, -9}, 5, 0, 4}, {Window{-6, -9}, 5, 0, 0}, {Window{1, 1}, 0, 0, 0}, {Window{-1, -1}, 0, 0, 0},
	} {
		if lo, hi := c.w.Of(c.n); lo != c.lo || hi != c.hi {
			t.Errorf("%v of %d: %d, %d", c.w, c.n, lo, hi)
		}
	}
}

func FuzzFetch(f *testing.F) {
	for _, s := range []string{"1:* (FLAGS)", "1 BODY.PEEK[1.2.HEADER.FIELDS (a b)]<1.2>", "$ (BINARY[1] PREVIEW (LAZY)) (CHANGEDSINCE 1 VANISHED)",
		"1 {2+}\r\nab", "1 BODY[HEADER.FIELDS ({1+}\r\na)]", "1,3:2,* FULL (PARTIAL 1:2)"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		c := dial(t, "t FETCH "+text+"\r\n")
		if _, err := c.Next(); err != nil {
			return
		}
		got, err := c.Fetch()
		if err != nil {
			return
		}
		if len(got.Sections) > MaxSections {
			t.Fatal("too many sections")
		}
		form := string(got.Append(nil))
		again, err := args(t, " "+form).Fetch()
		if err != nil || !reflect.DeepEqual(got, again) {
			t.Fatalf("%q written as %q: %v\n%+v\n%+v", text, form, err, got, again)
		}
	})
}

func BenchmarkUIDFetchCommand(b *testing.B) {
	const text = "A123 UID FETCH 1:* (FLAGS)\r\n"
	r := &repeater{text: text}
	d := NewDecoder(r, AfterLogin(0), nil)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := d.Next(); err != nil {
			b.Fatal(err)
		}
		if _, err := d.Fetch(); err != nil {
			b.Fatal(err)
		}
	}
}

// repeater sends the same line for ever, one at a time.
type repeater struct {
	text string
	pos  int
}

func (r *repeater) Read(p []byte) (int, error) {
	n := copy(p, r.text[r.pos:])
	r.pos = (r.pos + n) % len(r.text)
	return n, nil
}
