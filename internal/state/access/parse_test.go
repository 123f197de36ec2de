package access

import (
	"errors"
	"strings"
	"testing"
	"time"

	"posthorn/internal/state/store"
)

func TestValuesHaveANormalForm(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		kind        Kind
		value, want string
	}{
		{IP, " 192.0.2.1 ", "192.0.2.1"},
		{IP, "::ffff:192.0.2.1", "192.0.2.1"},
		{IP, "2001:DB8:0::1", "2001:db8::1"},
		{Network, "192.0.2.77/24", "192.0.2.0/24"},
		{Network, "192.0.2.77/255.255.255.0", "192.0.2.0/24"},
		{Network, "192.0.2.1/32", "192.0.2.1/32"},
		{Network, "192.163.1.1/255.100.10.1", "192.163.1.1/255.100.10.1"},
		{Network, "2001:db8::1/32", "2001:db8::/32"},
		{Network, "::ffff:192.0.2.7/120", "192.0.2.0/24"},
		{Sender, "<Eve@Away.TEST>", "eve@away.test"},
		{Sender, "eve@BÜCHER.test", "eve@xn--bcher-kva.test"},
		{Sender, `"Eve Doe"@away.test`, `"eve doe"@away.test`},
		{Recipient, "Info@ours.test", "info@ours.test"},
		{Domain, "Example.ORG", "example.org"},
		{Domain, ".Bücher.test", ".xn--bcher-kva.test"},
	} {
		r, err := Parse(c.kind, c.value)
		if err != nil || r.Value != c.want {
			t.Errorf("%s %q: %v, %v", c.kind, c.value, r, err)
			continue
		}
		if again, err := Parse(c.kind, r.Value); err != nil || again.Value != r.Value {
			t.Errorf("%s %q is no normal form: %v, %v", c.kind, r.Value, again, err)
		}
	}
}

func TestWhatCannotBeARuleIsRefusedByItsField(t *testing.T) {
	t.Parallel()
	row := func(kind Kind, value string, change func(*store.AccessRow)) store.AccessRow {
		r := store.AccessRow{Name: "rule", Kind: string(kind), Value: value}
		if change != nil {
			change(&r)
		}
		return r
	}
	for _, c := range []struct {
		row         store.AccessRow
		field, says string
	}{
		{row(IP, "192.0.2.0/24", nil), "value", "kind network"},
		{row(IP, "fe80::1%eth0", nil), "value", "no IP address"},
		{row(IP, "", nil), "value", "192.0.2.1"},
		{row(Network, "192.0.2.1", nil), "value", "/32"},
		{row(Network, "0.0.0.0/0", nil), "value", "everybody"},
		{row(Network, "192.0.2.1/0.0.0.0", nil), "value", "everybody"},
		{row(Network, "::/0", nil), "value", "everybody"},
		{row(Network, "::ffff:0.0.0.0/96", nil), "value", "everybody"},
		{row(Network, "::ffff:0.0.0.0/90", nil), "value", "no network"},
		{row(Network, "2001:db8::/255.255.0.0", nil), "value", "no network"},
		{row(Network, "192.0.2.0/33", nil), "value", "no network"},
		{row(Network, "away.test/24", nil), "value", "no network"},
		{row(Sender, "<>", nil), "value", "null sender"},
		{row(Sender, "away.test", nil), "value", "kind domain"},
		{row(Recipient, "postmaster", nil), "value", "no @domain"},
		{row(Domain, "..away.test", nil), "value", "no domain"},
		{row(Domain, ".[192.0.2.1]", nil), "value", "no domain"},
		{row(Domain, "", nil), "value", "no domain"},
		{row("country", "de", nil), "kind", "network"},
		{row(Domain, "away.test", func(r *store.AccessRow) { r.Block = true }), "kind", "allow rules only"},
		{row(IP, "192.0.2.1", func(r *store.AccessRow) { r.Discard = true }), "discard", "block rules"},
		{row(Domain, "away.test", func(r *store.AccessRow) { r.FromField = true }), "from_field", "sender"},
		{row(Recipient, "a@b.test", func(r *store.AccessRow) { r.Authenticated = true }), "authenticated", "forged"},
		{row(Sender, "a@b.test", func(r *store.AccessRow) { r.Authenticated, r.Block = true, true }), "authenticated", "allow rules"},
		{row(IP, "192.0.2.1", func(r *store.AccessRow) { r.Name = "" }), "name", "1 to"},
		{row(IP, "192.0.2.1", func(r *store.AccessRow) { r.Name = " x" }), "name", "space"},
		{row(IP, "192.0.2.1", func(r *store.AccessRow) { r.Name = ".." }), "name", "dots"},
		{row(IP, "192.0.2.1", func(r *store.AccessRow) { r.Name = "a\x1b[2J" }), "name", "printable"},
		{row(IP, "192.0.2.1", func(r *store.AccessRow) { r.Reason = "a\nb" }), "reason", "one line"},
		{row(IP, "192.0.2.1", func(r *store.AccessRow) { r.Owner = strings.Repeat("x", 501) }), "owner", "500"},
	} {
		_, err := New(c.row)
		fault := (*Error)(nil)
		if !errors.As(err, &fault) || fault.Field != c.field || !strings.Contains(fault.Text, c.says) || !errors.Is(err, store.ErrInvalid) {
			t.Errorf("%+v: %v", c.row, err)
		}
	}
}

func TestAFileOfRulesIsReadAllOrNothing(t *testing.T) {
	t.Parallel()
	const text = `# our lists

block network 192.0.2.0/24 name=flooders reason="open \"relay\" # 1" discard
allow sender Eve@Away.test	expires=2027-01-31T00:00:00+01:00 owner=ann # friend
allow domain .away.test no-authenticated disabled` + "\r\n" + `block recipient "\"a b\"@ours.test" from-fied
`
	if _, err := ReadFile(text, true); err == nil || !strings.Contains(err.Error(), "line 6:") || !strings.Contains(err.Error(), "from-fied") || !errors.Is(err, store.ErrInvalid) {
		t.Errorf("a word that does not exist: %v", err)
	}
	rows, err := ReadFile(strings.Replace(text, " from-fied", "", 1), true)
	if err != nil || len(rows) != 4 {
		t.Fatalf("%+v, %v", rows, err)
	}
	for i, want := range []store.AccessRow{
		{Name: "flooders", Block: true, Kind: "network", Value: "192.0.2.0/24", Reason: `open "relay" # 1`, Discard: true},
		{Name: "eve@away.test", Kind: "sender", Value: "eve@away.test", Owner: "ann", Authenticated: true, Expires: time.Date(2027, 1, 30, 23, 0, 0, 0, time.UTC)},
		{Name: ".away.test", Kind: "domain", Value: ".away.test", Disabled: true},
		{Name: `"a b"@ours.test`, Block: true, Kind: "recipient", Value: `"a b"@ours.test`},
	} {
		if rows[i] != want {
			t.Errorf("line %d\n got %+v\nwant %+v", i, rows[i], want)
		}
	}
	if rows, err := ReadFile("allow domain away.test", false); err != nil || rows[0].Authenticated {
		t.Errorf("the default was not asked for: %+v, %v", rows, err)
	}
}

func TestFaultsOfAFileNameTheirLines(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"block ip 192.0.2.1\nblock ip 192.0.2.1":      `line 2: name: "192.0.2.1" is the name of the rule in line 1`,
		"block ip":                                    "line 1: a rule is LIST KIND VALUE",
		"deny ip 192.0.2.1":                           "line 1: list:",
		"\n\nblock ip 192.0.2.1 reason=\"x":           "line 3: a quote is not closed",
		"block ip 192.0.2.1 reason=\"x\"y":            "line 1: a space is missing",
		"block ip 192.0.2.1 expires=tomorrow":         "line 1: expires:",
		"allow domain away.test\nblock domain a.test": "line 2: kind:",
		strings.Repeat("x\n", 30):                     "line 20: a rule is LIST KIND VALUE, such as: block ip 192.0.2.1\nand more",
	} {
		if rows, err := ReadFile(text, true); rows != nil || err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, %v", text, rows, err)
		}
	}
}

// What is written is read back, whatever stands in it.
func FuzzFile(f *testing.F) {
	for _, text := range []string{
		"block network 192.163.1.1/255.100.10.1 name=src discard reason=\"a b\"",
		"allow sender \"\\\"a b\\\"@away.test\" from-field no-authenticated expires=2027-01-31T00:00:00.000001Z",
		"allow domain .b\u00fccher.test name=\"#\" owner=\"\\u00e4\\\\\" disabled # x",
		"block ip ::1\r\n\nblock ip \"",
	} {
		f.Add(text, true)
	}
	f.Fuzz(func(t *testing.T, text string, require bool) {
		rows, err := ReadFile(text, require)
		if err != nil {
			return
		}
		var b strings.Builder
		WriteFile(&b, rows)
		again, err := ReadFile(b.String(), !require)
		if err != nil || len(again) != len(rows) {
			t.Fatalf("%q\nis written %q\nand then %v", text, b.String(), err)
		}
		for i := range rows {
			if again[i] != rows[i] {
				t.Errorf("%+v is written %q and read %+v", rows[i], b.String(), again[i])
			}
		}
	})
}
