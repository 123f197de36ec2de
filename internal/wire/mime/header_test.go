package mime

import (
	"strings"
	"testing"
)

func TestHeaderFieldsAreFiltered(t *testing.T) {
	t.Parallel()
	const header = "From: a\r\nX-Y : 1\r\n 2\r\n\t\r\ngarbage\r\nto: b\nFROM: c\r\n\r\nbody: no"
	for _, c := range []struct {
		names []string
		not   bool
		want  string
	}{
		{[]string{"from"}, false, "From: a\r\nFROM: c\r\n\r\n"},
		{[]string{"TO", "x-y"}, false, "X-Y : 1\r\n 2\r\n\t\r\nto: b\n\r\n"},
		{[]string{"none", ""}, false, "\r\n"},
		{[]string{"from", "x-y"}, true, "garbage\r\nto: b\n\r\n"},
		{nil, true, "From: a\r\nX-Y : 1\r\n 2\r\n\t\r\ngarbage\r\nto: b\nFROM: c\r\n\r\n"},
	} {
		if got := string(FilterHeader([]byte(header), c.names, c.not)); got != c.want {
			t.Errorf("%q %t: %q, want %q", c.names, c.not, got, c.want)
		}
	}
	if got := string(FilterHeader([]byte("A: b"), []string{"a"}, false)); got != "A: b\r\n\r\n" {
		t.Errorf("unfinished header section: %q", got)
	}
}

func TestValuesAreUnfolded(t *testing.T) {
	t.Parallel()
	for value, want := range map[string]string{
		" a\r\n": "a", "a\r\n b\n\tc\r\n": "a b\tc", "\r\n a": "a", "a\rb": "a\rb", "": "",
	} {
		if got := string(Unfold([]byte(value))); got != want {
			t.Errorf("%q: %q, want %q", value, got, want)
		}
	}
}

func TestEncodedWords(t *testing.T) {
	t.Parallel()
	for value, want := range map[string]string{
		"plain":                              "plain",
		"=?utf-8?Q?a=C3=A4_b?=":              "aä b",
		"=?ISO-8859-1?B?5A==?= x":            "ä x",
		"=?utf-8?Q?a?= \r\n =?utf-8?q?b?=":   "ab",
		"=?utf-8?Q?a?= x =?utf-8?q?b?=":      "a x b",
		"=?utf-8?Q?=C3?= =?utf-8?Q?=A4?=":    "ä",
		"=?utf-8*de?Q?x?=":                   "x",
		"=?gb2312?B?xOO6ww==?=":              "你好",
		"=?iso-2022-jp?B?GyRCRnxLXBsoQg==?=": "日本",
		"=?nonsense?Q?=41?=":                 "A",
		"=?hz-gb-2312?Q?=7E{VPND=7E}?=":      "中文",
		"=?utf-8?X?a?=":                      "=?utf-8?X?a?=",
		"=?utf-8?Q?unfinished":               "=?utf-8?Q?unfinished",
		"=?=?utf-8?Q?a?=":                    "=?a",
		"J\xf6rg":                            "Jörg",
		"=?utf-8?Q?a b?=":                    "a b",
	} {
		if got := DecodeWords(value); got != want {
			t.Errorf("%q: %q, want %q", value, got, want)
		}
	}
}

func TestManyBeginningsOfEncodedWordsAreNoWork(t *testing.T) {
	t.Parallel()
	in := strings.Repeat("=?a?Q?x", 1<<15)
	if got := DecodeWords(in); got != in {
		t.Errorf("%d octets became %d", len(in), len(got))
	}
}
