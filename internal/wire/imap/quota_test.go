package imap

import "testing"

func TestQuotaArguments(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{` ""`: "", ` root`: "root", " {3+}\r\na b": "a b"} {
		got, err := args(t, text).QuotaRoot()
		equal(t, text, got, err, want)
	}
	refuse(t, func(d *Decoder) error { _, err := d.QuotaRoot(); return err }, ``, ` `, ` a b`, ` ()`)
	for _, text := range []string{` "" ()`, ` "" (STORAGE 512)`, ` x (STORAGE 512 MESSAGE 100)`} {
		if err := args(t, text).SetQuota(); err != nil {
			t.Errorf("%q: %v", text, err)
		}
	}
	refuse(t, func(d *Decoder) error { return d.SetQuota() }, ``, ` x`, ` x STORAGE 1`, ` x (STORAGE)`, ` x (STORAGE -1)`, ` x (STORAGE 1) y`, ` x (1`)
}
