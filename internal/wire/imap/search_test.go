package imap

import (
	"reflect"
	"strings"
	"testing"
	"time"
)

func TestSearchPrograms(t *testing.T) {
	t.Parallel()
	day := time.Date(2026, 2, 1, 0, 0, 0, 0, time.UTC)
	seen, unseen := SearchKey{Op: KeyFlag, Text: FlagSeen}, SearchKey{Op: KeyUnflag, Text: FlagSeen}
	from := func(s string) SearchKey { return SearchKey{Op: KeyHeader, Field: "from", Text: s} }
	for text, want := range map[string]SearchKey{
		"ALL":                           {Op: KeyAll},
		"SEEN":                          seen,
		"new":                           {Op: KeyAnd, Keys: []SearchKey{{Op: KeyFlag, Text: FlagRecent}, unseen}},
		"OLD":                           {Op: KeyUnflag, Text: FlagRecent},
		"1:5,9":                         {Op: KeySeq, Set: set(t, "1:5,9")},
		"$":                             {Op: KeySeq, Set: set(t, "$")},
		"UID 7:*":                       {Op: KeyUID, Set: set(t, "7:*")},
		"UID $":                         {Op: KeyUID, Set: set(t, "$")},
		"KEYWORD $Junk":                 {Op: KeyFlag, Text: "$Junk"},
		"UNKEYWORD x":                   {Op: KeyUnflag, Text: "x"},
		`FROM "a b"`:                    from("a b"),
		`HEADER From x`:                 from("x"),
		`HEADER X-Spam ""`:              {Op: KeyHeader, Field: "x-spam"},
		"BODY {3+}\r\n\"\r\n":           {Op: KeyBody, Text: "\"\r\n"},
		`TEXT "Grüße"`:                  {Op: KeyText, Text: "Grüße"},
		"SINCE 1-Feb-2026":              {Op: KeySince, Date: day},
		`SENTBEFORE "01-feb-2026"`:      {Op: KeySentBefore, Date: day},
		"ON 1-Feb-2026":                 {Op: KeyOn, Date: day},
		"SAVEDSINCE 1-Feb-2026":         {Op: KeySavedSince, Date: day},
		"LARGER 5000000000":             {Op: KeyLarger, Number: 5000000000},
		"YOUNGER 60":                    {Op: KeyYounger, Number: 60},
		"MODSEQ 620162338":              {Op: KeyModSeq, Number: 620162338},
		`MODSEQ "/flags/\\draft" all 7`: {Op: KeyModSeq, Number: 7},
		"EMAILID M6d99ac3275bb4e":       {Op: KeyEmailID, Text: "M6d99ac3275bb4e"},
		"SAVEDATESUPPORTED":             {Op: KeySaveDateSupported},
		"NOT SEEN":                      {Op: KeyNot, Keys: []SearchKey{seen}},
		"NOT NOT SEEN":                  seen,
		"NOT not NOT SEEN":              {Op: KeyNot, Keys: []SearchKey{seen}},
		"SEEN UNSEEN":                   {Op: KeyAnd, Keys: []SearchKey{seen, unseen}},
		"(SEEN)":                        seen,
		"(SEEN UNSEEN)":                 {Op: KeyAnd, Keys: []SearchKey{seen, unseen}},
		"OR SEEN UNSEEN":                {Op: KeyOr, Keys: []SearchKey{seen, unseen}},
		"OR FROM a OR FROM b FROM c":    {Op: KeyOr, Keys: []SearchKey{from("a"), from("b"), from("c")}},
		"OR OR FROM a FROM b FROM c":    {Op: KeyOr, Keys: []SearchKey{from("a"), from("b"), from("c")}},
		"OR OR FROM a FROM b OR SEEN UNSEEN 1": {Op: KeyAnd, Keys: []SearchKey{
			{Op: KeyOr, Keys: []SearchKey{from("a"), from("b"), seen, unseen}}, {Op: KeySeq, Set: set(t, "1")}}},
		"NOT OR SEEN (1 NOT UNSEEN)": {Op: KeyNot, Keys: []SearchKey{{Op: KeyOr, Keys: []SearchKey{seen,
			{Op: KeyAnd, Keys: []SearchKey{{Op: KeySeq, Set: set(t, "1")}, {Op: KeyNot, Keys: []SearchKey{unseen}}}}}}}},
	} {
		got, err := args(t, " "+text).Search()
		equal(t, text, got.Key, err, want)
		form := string(got.Key.Append(nil))
		again, err := args(t, " "+form).Search()
		equal(t, form, again.Key, err, want)
	}
}

func TestEverySearchWordIsWrittenAsItself(t *testing.T) {
	t.Parallel()
	for _, w := range searchWords {
		arg := map[SearchOp]string{KeyUID: " 1", KeyHeader: ` "x"`, KeyBody: ` "x"`, KeyText: ` "x"`, KeyLarger: " 1", KeySmaller: " 1", KeyOlder: " 1",
			KeyYounger: " 1", KeyModSeq: " 1", KeyEmailID: " x", KeyThreadID: " x", KeyAll: "", KeySaveDateSupported: "", KeyFlag: "", KeyUnflag: ""}
		a, ok := arg[w.key.Op]
		switch {
		case !ok:
			a = " 1-Feb-2026"
		case w.name == "HEADER":
			a = ` x-y "x"`
		case strings.HasSuffix(w.name, "KEYWORD"):
			a = " x"
		}
		got, err := args(t, " "+w.name+a).Search()
		if form := string(got.Key.Append(nil)); err != nil || form != w.name+a {
			t.Errorf("%s%s: %s %v", w.name, a, form, err)
		}
	}
}

func TestSearchCharsets(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		" CHARSET UTF-8 SUBJECT {3+}\r\nü!":                      "ü!",
		" CHARSET us-ascii SUBJECT x":                            "x",
		" charset ISO-8859-1 SUBJECT {2+}\r\n\xfc!":              "ü!",
		" RETURN (SAVE) CHARSET \"KOI8-R\" SUBJECT {1+}\r\n\xc1": "а",
	} {
		got, err := args(t, text).Search()
		if err != nil || got.Key.Text != want {
			t.Errorf("%q: %q %v", text, got.Key.Text, err)
		}
	}
	_, err := args(t, " CHARSET X-UNHEARD-OF ALL").Search()
	if r := fault(t, err); r.Status != NO || r.Code != "BADCHARSET (US-ASCII UTF-8)" {
		t.Errorf("%+v", r)
	}
	_, err = args(t, " SUBJECT {1+}\r\n\xfc").Search()
	if r := fault(t, err); r.Status != BAD {
		t.Errorf("%+v", r)
	}
}

func TestSearchReturnOptions(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]SearchReturn{
		" ALL":                              {},
		" RETURN () ALL":                    {Given: true, All: true},
		" return (min MAX Count) ALL":       {Given: true, Min: true, Max: true, Count: true},
		" RETURN (SAVE) ALL":                {Given: true, Save: true},
		" RETURN (COUNT PARTIAL 500:1) ALL": {Given: true, Count: true, Window: Window{1, 500}},
	} {
		got, err := args(t, text).Search()
		equal(t, text, got.Return, err, want)
	}
}

func TestSearchFaults(t *testing.T) {
	t.Parallel()
	refuse(t, func(d *Decoder) error { _, err := d.Search(); return err },
		``, ` `, ` FOO`, ` SEEN `, ` SEEN  SEEN`, ` ()`, ` (SEEN`, ` SEEN)`, ` NOT`, ` NOT `, ` OR`, ` OR SEEN`, ` OR SEEN `, ` OR OR SEEN SEEN`,
		` UID`, ` UID x`, ` 0`, ` 1:0`, ` FROM`, ` FROM (`, ` HEADER x`, ` HEADER "a b" c`, ` SINCE`, ` SINCE 1-Foo-2026`, ` LARGER -1`, ` OLDER 0`,
		` MODSEQ`, ` MODSEQ "/x" some 1`, ` KEYWORD \Seen`, ` KEYWORD`, ` CHARSET`, ` CHARSET UTF-8`, ` RETURN`, ` RETURN (`, ` RETURN (FOO) ALL`,
		` RETURN (PARTIAL) ALL`, ` RETURN (ALL PARTIAL 1:2) ALL`, ` RETURN (PARTIAL 1:2 ALL) ALL`, ` RETURN ()`, ` ALL ALL CHARSET UTF-8`, ` $,1`, ` 1,`)
}

func TestHugeSearchesAreRefusedAtOnce(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"NOT":     strings.Repeat("NOT ", 15000) + "ALL",
		"OR":      strings.Repeat("OR ALL ", 8000) + "ALL",
		"OR left": strings.Repeat("OR ", 8000) + strings.Repeat("ALL ", 8000) + "ALL",
		"NOT OR":  strings.Repeat("NOT OR ", 4000) + strings.Repeat("ALL ", 4000) + "ALL",
		"parens":  strings.Repeat("(", 30000) + "ALL" + strings.Repeat(")", 30000),
		"NOT (":   strings.Repeat("NOT (", 33) + "ALL" + strings.Repeat(")", 33),
		"many":    strings.Repeat("1 ", 30000) + "ALL",
		"100000":  strings.Repeat("NOT ", 100000) + "ALL",
		"set":     strings.Repeat("1,", 20000) + "1",
	} {
		c := dial(t, "a SEARCH "+text+"\r\nb NOOP\r\n")
		start := time.Now()
		_, err := c.Next()
		if err == nil {
			_, err = c.Search()
		}
		if r := fault(t, err); r.Status != BAD || r.Close {
			t.Errorf("%s: %+v", name, r)
		}
		next(t, c, "b NOOP")
		if d := time.Since(start); d > time.Second {
			t.Errorf("%s: took %v", name, d)
		}
	}
}

func TestLongChainsOfAlternativesAreFlat(t *testing.T) {
	t.Parallel()
	got, err := args(t, " "+strings.Repeat("OR FROM x ", 900)+"SEEN").Search()
	if err != nil || len(got.Key.Keys) != 901 {
		t.Fatal(len(got.Key.Keys), err)
	}
	if !got.Key.Uses(KeyFlag) || got.Key.Uses(KeyModSeq) {
		t.Error("Uses is wrong")
	}
}

// measure returns the depth of a program and the number of its keys.
func measure(k SearchKey) (depth, keys int) {
	keys = 1
	for _, x := range k.Keys {
		d, n := measure(x)
		depth, keys = max(depth, d), keys+n
	}
	return depth + 1, keys
}

func FuzzSearch(f *testing.F) {
	for _, s := range []string{"OR OR 1 2 NOT NOT (SEEN NEW)", "CHARSET KOI8-R HEADER X-Y {1+}\r\n\xc1", "RETURN (PARTIAL -1:-5) UID $", "MODSEQ \"/flags/x\" all 5",
		"SINCE 1-Feb-2026 LARGER 5", "NOT OR NOT OR 1 1 1 1", "TEXT \"\\\"\" KEYWORD $x", "BODY {4096+}\r\n"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		c := dial(t, "t SEARCH "+text+"\r\n")
		if _, err := c.Next(); err != nil {
			return
		}
		got, err := c.Search()
		if err != nil {
			return
		}
		// NEW counts as one key and makes three, one level deeper.
		if depth, keys := measure(got.Key); depth > MaxNesting+2 || keys > 3*MaxSearchKeys {
			t.Fatalf("depth %d, %d keys", depth, keys)
		}
		form := string(got.Key.Append(nil))
		again, err := args(t, " "+form).Search()
		if err != nil && strings.Contains(err.Error(), "Too many") {
			return // NEW is written as three keys
		}
		if err != nil || !reflect.DeepEqual(got.Key, again.Key) {
			t.Fatalf("%q written as %q: %v\n%+v\n%+v", text, form, err, got.Key, again.Key)
		}
	})
}
