package mime

import (
	"fmt"
	"strings"
	"testing"
)

// addressLists gives members as name|route|mailbox|host.
var addressLists = []struct{ value, want string }{
	{"", ""},
	{" , ,; ", ""},
	{"a@b", "||a|b"},
	{"<a@b>", "||a|b"},
	{"A B <a@b>", "A B||a|b"},
	{"J. R. Doe <a@b>", "J. R. Doe||a|b"},
	{`"B, A" <a@b>, c@d`, "B, A||a|b ; ||c|d"},
	{`"q\"q\\" <a@b>`, `q"q\||a|b`},
	{"a@b (Name (nested) \\) x)", "Name (nested) \\) x||a|b"},
	{"(c) a (c) @ (c) b (c)", "c||a|b"},
	{"a @ b . c", "||a|b.c"},
	{"Name @ Firm <a@b>", "Name @ Firm||a|b"},
	{"a@b <c@d>", "a@b||c|d"},
	{"Real Name a@b", "Real Name||a|b"},
	{"a@b c@d", "a@b||c|d"},
	{"a@b rest", "||a|b"},
	{"a@b@c", "||a@b|c"},
	{`"a b"@c`, "||a b|c"},
	{`"a@b"@c`, "||a@b|c"},
	{`"a@b" <c@d>`, "a@b||c|d"},
	{"<@x,@y:a@b>", "|@x,@y|a|b"},
	{"<@x>", "|||x"},
	{"N <>", "N|||"},
	{"a@[192.0.2.1]", "||a|[192.0.2.1]"},
	{"root", "||root|"},
	{"two words", "two words|||"},
	{"N <root>", "N||root|"},
	{"g: a@b, C <c@d>; e@f", "[g ; ||a|b ; C||c|d ; ] ; ||e|f"},
	{"g:;", "[g ; ]"},
	{"g: a@b", "[g ; ||a|b ; ]"},
	{":;", "[ ; ]"},
	{"a@b; c@d", "||a|b ; ||c|d"},
	{"x <a@b, c@d", "x||a|b ; ||c|d"},
	{"<<a@b>>", "||a|b"},
	{"=?utf-8?Q?Doe,_J?= <a@b>", "=?utf-8?Q?Doe,_J?=||a|b"},
	{"=?broken <a@b>", "=?broken||a|b"},
	{"J\xf6rg <j\xf6@b\xfc>", "J\xf6rg||j\xf6|b\xfc"},
	{`"unfinished <a@b>`, "unfinished <a@b>|||"},
	{"(unfinished a@b", ""},
	{"a@b\r\n ,\r\n\tc@d", "||a|b ; ||c|d"},
}

func TestAddressLists(t *testing.T) {
	t.Parallel()
	for _, c := range addressLists {
		var got []string
		for _, a := range ParseAddressList(c.value) {
			switch a.Kind {
			case GroupStart:
				got = append(got, "["+a.Mailbox)
			case GroupEnd:
				got = append(got, "]")
			default:
				got = append(got, fmt.Sprintf("%s|%s|%s|%s", a.Name, a.Route, a.Mailbox, a.Host))
			}
		}
		if s := strings.Join(got, " ; "); s != c.want {
			t.Errorf("%q:\n got %s\nwant %s", c.value, s, c.want)
		}
	}
}

func TestAddrSpecsAreQuotedWhereNeeded(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		a    Address
		want string
	}{
		{Address{Mailbox: "a.b", Host: "c"}, "a.b@c"},
		{Address{Mailbox: "a b", Host: "c"}, `"a b"@c`},
		{Address{Mailbox: `a"\`, Host: "c"}, `"a\"\\"@c`},
		{Address{Mailbox: "", Host: "c"}, `""@c`},
		{Address{Mailbox: ".a", Host: "c"}, `".a"@c`},
		{Address{Mailbox: "a"}, "a"},
	} {
		if got := c.a.Spec(); got != c.want {
			t.Errorf("%+v: %s, want %s", c.a, got, c.want)
		}
	}
}
