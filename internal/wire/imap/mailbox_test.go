package imap

import (
	"strings"
	"testing"
	"unicode/utf8"
)

func TestModifiedUTF7(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"": "", "INBOX": "INBOX", "a&b": "a&-b", "&": "&-", "Entwürfe": "Entw&APw-rfe", "日本語": "&ZeVnLIqe-", "~peter/mail/台北/日本語": "~peter/mail/&U,BTFw-/&ZeVnLIqe-",
		"äö": "&AOQA9g-", "ä&ö": "&AOQ-&-&APY-", "😀": "&2D3eAA-", "a\tb": "a&AAk-b",
	} {
		if got := EncodeUTF7(name); got != want {
			t.Errorf("%q written as %q", name, got)
		}
		if got, ok := DecodeUTF7(want); !ok || got != name {
			t.Errorf("%q read as %q", want, got)
		}
	}
	for _, text := range []string{"&", "a&b", "&Jjo!", "&U,BTFw-&ZeVnLIqe-", "&AGE-", "&AOQ", "&AO-", "&AOR-", "&2D0-", "&2D3-", "&3gA-", "&2D0AYQ-", "&AOQ=-", "&A/Q-",
		"ä", "a\tb", "a\x00", "\x7f", "&AOQA\n-"} {
		if got, ok := DecodeUTF7(text); ok {
			t.Errorf("%q read as %q", text, got)
		}
	}
}

func TestMailboxNamesFollowWhatIsEnabled(t *testing.T) {
	t.Parallel()
	read := func(utf8 bool, text string) (string, error) {
		c := args(t, " "+text)
		c.SetUTF8(utf8)
		c.SP("a mailbox name")
		return c.Mailbox("a mailbox name"), c.End()
	}
	for _, c := range []struct {
		utf8       bool
		text, want string
	}{
		{false, "inbox", "INBOX"}, {false, `"InBox/Work"`, "INBOX/Work"}, {false, "inboxes", "inboxes"}, {false, "&AOQ-", "ä"}, {false, "a]b", "a]b"},
		{false, `"ä"`, "ä"}, {false, `"ä &- ö"`, "ä & ö"}, // nobody could mean anything else
		{true, "&AOQ-", "&AOQ-"}, {true, `"ä"`, "ä"}, {true, "{2+}\r\nä", "ä"}, {true, "inbox", "INBOX"},
	} {
		if got, err := read(c.utf8, c.text); err != nil || got != c.want {
			t.Errorf("%q: %q %v", c.text, got, err)
		}
	}
	for _, text := range []string{`"ä &AOQ-"`, `"ä & ö"`, "&AOQ", "{1+}\r\n\xff"} {
		_, err := read(false, text)
		if r := fault(t, err); r.Status != NO || r.Code != CodeCannot {
			t.Errorf("%q: %+v", text, r)
		}
	}
	if _, err := read(true, "{1+}\r\n\xff"); fault(t, err).Code != CodeCannot {
		t.Error(err)
	}
}

func TestNamesThatCannotBeMade(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"a", "a/b", "Entwürfe", ".hidden", "a.b", "...", strings.Repeat("x", 255), strings.TrimSuffix(strings.Repeat("a/", 50), "/")} {
		if err := CheckName(name); err != nil {
			t.Errorf("%q: %v", name, err)
		}
	}
	for _, name := range []string{"", "/", "/a", "a/", "a//b", "../../x", "a/./b", "..", "a\x00", "a\r\nb", "a*", "%", "\xff", "a\u0085b", "a\u2028b",
		strings.Repeat("x", 256), strings.TrimSuffix(strings.Repeat("a/", 1000), "/"), strings.Repeat("x", 100000)} {
		if r := fault(t, CheckName(name)); r.Status != NO || r.Code != CodeCannot {
			t.Errorf("%.20q: %+v", name, r)
		}
	}
}

func FuzzMailboxName(f *testing.F) {
	for _, s := range []string{"INBOX", "a&-b", "&AOQA9g-", "&2D3eAA-", "&ZeVnLIqe-/x", "&", "ä\x00😀&"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if name, ok := DecodeUTF7(s); ok {
			if !utf8.ValidString(name) || EncodeUTF7(name) != s {
				t.Fatalf("%q read as %q, written as %q", s, name, EncodeUTF7(name))
			}
		}
		if utf8.ValidString(s) {
			if got, ok := DecodeUTF7(EncodeUTF7(s)); !ok || got != s {
				t.Fatalf("%q written as %q, read as %q", s, EncodeUTF7(s), got)
			}
		} else if got, ok := DecodeUTF7(EncodeUTF7(s)); !ok || got != strings.ToValidUTF8(got, "?") {
			t.Fatalf("%q written as %q", s, EncodeUTF7(s))
		}
	})
}
