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
