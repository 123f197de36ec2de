package cli

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"posthorn/internal/base/ident"
	"posthorn/internal/state/record"
)

func TestTracesAreReadPageByPage(t *testing.T) {
	t.Parallel()
	b, ids := newBench(t), ident.NewSource()
	tr := b.h.Records.Trace(record.Session{ID: ids.New(), Begin: time.Now(), Listener: "smtp"})
	for i := range 4 {
		tr.Open(ids.New())
		tr.Sender, tr.HasSender = fmt.Sprintf("u%d@away.test", i), true
		tr.Close(record.Accepted)
	}
	tr.Done()
	more := regexp.MustCompile(`Older ones: add (--after \S+)`)
	for _, form := range []string{"", " --long"} {
		line, seen := "trace --from away.test --limit 2"+form, ""
		for range 2 {
			code, said := b.prompt(line)
			if code != 0 || strings.Count(said, "@away.test") < 2 {
				t.Fatalf("%s: exit %d: %s", line, code, said)
			}
			seen += said
			m := more.FindStringSubmatch(said)
			if m == nil {
				t.Fatalf("%s does not say how to go on:\n%s", line, said)
			}
			line = "trace --from away.test --limit 2" + form + " " + m[1]
		}
		for i := range 4 {
			if !strings.Contains(seen, fmt.Sprintf("u%d@away.test", i)) {
				t.Errorf("%q: attempt %d is on no page:\n%s", form, i, seen)
			}
		}
		if code, said := b.prompt(line); code != 0 || !strings.Contains(said, "no older ones") {
			t.Errorf("%s: exit %d: %s", line, code, said)
		}
	}
}

func TestTraceSaysWhatToChangeOfTheQuestion(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	for line, want := range map[string]string{
		"trace --to bob@away.test":           "Ask more widely: with a domain instead of an address.",
		"trace --to away.test --since 1h":    "Ask more widely: without a time.",
		"trace --client 192.0.2.1":           "record.max_age).",
		"trace --outcome refused --from a@b": "without --outcome.",
	} {
		if code, said := b.prompt(line); code != 0 || !strings.HasSuffix(strings.TrimSpace(said), want) {
			t.Errorf("%s: exit %d: %s", line, code, said)
		}
	}
	empty := ""
	if err := (&traceCmd{ID: &empty}).Run(t.Context(), &Where{}, &Streams{}); err == nil || !strings.Contains(err.Error(), "identifier is empty") {
		t.Errorf("an empty identifier lists everything: %v", err)
	}
}
