package scan

import (
	"strings"
	"testing"
)

func TestFieldsCannotCarryFurtherLines(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, value, want string }{
		{"X-A", "one", "one"},
		{"X-A", " padded \t", "padded"},
		{"X-A", "", ""},
		{"X-A", "a\n\tb\r\n c", "a\r\n\tb\r\n c"},
		{"X-A", "a\n  \n\tb\n", "a\r\n\tb"},
		{"X-A", "ä", "ä"},
	} {
		e, err := fieldEdit(AddField, 0, c.name, c.value)
		if err != nil || e.Value != c.want {
			t.Errorf("%q: %q, %v", c.value, e.Value, err)
		}
	}
	for _, c := range []struct{ name, value string }{
		{"", "x"}, {"X A", "x"}, {"X:", "x"}, {"X\r\nY", "x"}, {"Ä", "x"}, {strings.Repeat("X", 101), "x"},
		{"X", "a\r\nBcc: b"}, {"X", "a\nb"}, {"X", "a\rb"}, {"X", "a\r\n\r\nbody"}, {"X", "a\x00b"}, {"X", "a\r\r\n b"},
		{"X", strings.Repeat("x", 999)}, {"X", strings.Repeat("x\n ", 40_000)},
	} {
		if e, err := fieldEdit(AddField, 0, c.name, c.value); err == nil && strings.ContainsAny(strings.ReplaceAll(e.Value, "\r\n ", ""), "\r\n") {
			t.Errorf("%q: %.40q is taken as %.40q", c.name, c.value, e.Value)
		} else if err == nil && c.value != "a\r\n\r\nbody" {
			t.Errorf("%q: %.40q is taken", c.name, c.value)
		}
	}
}

func TestEditsChangeTheHeader(t *testing.T) {
	t.Parallel()
	header := "A: 1\r\nB: 2\r\n folded\r\nA: 3\r\n\r\n"
	field := func(kind EditKind, index int, name, value string) Edit {
		e, err := fieldEdit(kind, index, name, value)
		if err != nil {
			t.Fatal(err)
		}
		return e
	}
	for _, c := range []struct {
		name  string
		edits Edits
		want  string
	}{
		{"none", Edits{bodyEdit([]byte("x"))}, header},
		{"add", Edits{field(AddField, 0, "C", "x\n y")}, "A: 1\r\nB: 2\r\n folded\r\nA: 3\r\nC: x\r\n y\r\n\r\n"},
		{"insert first", Edits{field(InsertField, 0, "C", "x")}, "C: x\r\nA: 1\r\nB: 2\r\n folded\r\nA: 3\r\n\r\n"},
		{"insert second", Edits{field(InsertField, 1, "C", "x")}, "A: 1\r\nC: x\r\nB: 2\r\n folded\r\nA: 3\r\n\r\n"},
		{"insert far", Edits{field(InsertField, 99, "C", "x")}, "A: 1\r\nB: 2\r\n folded\r\nA: 3\r\nC: x\r\n\r\n"},
		{"change second", Edits{field(ChangeField, 2, "a", "x")}, "A: 1\r\nB: 2\r\n folded\r\na: x\r\n\r\n"},
		{"change what is not there", Edits{field(ChangeField, 3, "A", "x")}, "A: 1\r\nB: 2\r\n folded\r\nA: 3\r\nA: x\r\n\r\n"},
		{"delete", Edits{field(DeleteField, 0, "b", ""), field(DeleteField, 1, "a", ""), field(DeleteField, 7, "a", "")}, "A: 3\r\n\r\n"},
		{"in order", Edits{field(AddField, 0, "C", "x"), field(ChangeField, 1, "C", "y"), field(DeleteField, 1, "C", "")}, header},
	} {
		if got := string(c.edits.Header([]byte(header))); got != c.want {
			t.Errorf("%s: %q", c.name, got)
		}
	}
	if got := string(Edits{field(AddField, 0, "C", "x")}.Header([]byte("A: 1"))); got != "A: 1\r\nC: x\r\n" {
		t.Errorf("unfinished: %q", got)
	}
}

func TestBodiesHaveOneKindOfLineEnd(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"a\nb\rc\r\nd": "a\r\nb\r\nc\r\nd", "\n.\n": "\r\n.\r\n", "\r\r\n": "\r\n\r\n", "": "",
	} {
		e := bodyEdit([]byte(in))
		if string(e.Body) != want {
			t.Errorf("%q becomes %q", in, e.Body)
		}
	}
}

func TestPathsAreAddresses(t *testing.T) {
	t.Parallel()
	for path, want := range map[string]string{"<a@example.test>": "a@example.test", "b@example.test": "b@example.test"} {
		if e, err := pathEdit(AddRecipient, path); err != nil || e.Address.String() != want {
			t.Errorf("%s: %v, %v", path, e.Address, err)
		}
	}
	if e, err := pathEdit(ChangeSender, "<>"); err != nil || !e.Address.IsNull() {
		t.Errorf("null: %v", err)
	}
	for _, path := range []string{"<>", "a", "<a@b>\r\nRCPT TO:<c@d>", "a@b@c", "|program"} {
		if _, err := pathEdit(AddRecipient, path); err == nil {
			t.Errorf("%q is taken", path)
		}
	}
}

func FuzzFieldEdit(f *testing.F) {
	for _, v := range []string{"a", "a\r\n b", "a\n\n\tb", "a\r\nBcc: b", "\r\n\r\nbody", "\x00"} {
		f.Add("X-A", v)
	}
	f.Fuzz(func(t *testing.T, name, value string) {
		e, err := fieldEdit(AddField, 0, name, value)
		if err != nil {
			return
		}
		got := string(Edits{e}.Header([]byte("A: 1\r\n\r\n")))
		for i, l := range strings.Split(strings.TrimSuffix(got, "\r\n\r\n"), "\r\n") {
			fresh := i > 1 && !strings.HasPrefix(l, " ") && !strings.HasPrefix(l, "\t")
			if fresh || strings.ContainsAny(l, "\r\n\x00") || strings.TrimSpace(l) == "" || len(l) > maxLine {
				t.Fatalf("line %d is %q", i, l)
			}
		}
	})
}
