package evidence

import (
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"posthorn/internal/testkit/authority"
)

func TestAJudgementOfSPFIsKeptForItsClientAndNoLongerThanItsRecord(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		z := authority.New(t, "$TTL 5\nexample.org. TXT \"v=spf1 ip4:192.0.2.1 -all\"\n")
		a := authenticity(z)
		ask := func(client, helo string) string {
			f := judged(a, sample)
			f.Client, f.Helo = netip.MustParseAddr(client), helo
			return f.SPF(t.Context()).Result
		}
		for range 2 {
			if got := ask("192.0.2.1", "mx.example.org"); got != "pass" || a.lately.table.Len() != 1 {
				t.Fatalf("%s, %d kept", got, a.lately.table.Len())
			}
		}
		if got := ask("192.0.2.2", "mx.example.org"); got != "fail" || a.lately.table.Len() != 1 {
			t.Errorf("another client: %s, %d kept", got, a.lately.table.Len())
		}
		if got := ask("192.0.2.1", "other.example.org"); got != "pass" || a.lately.table.Len() != 2 {
			t.Errorf("another name: %s, %d kept", got, a.lately.table.Len())
		}
		z.Behave("example.org", servfail)
		time.Sleep(4 * time.Second)
		if got := ask("192.0.2.1", "mx.example.org"); got != "pass" {
			t.Errorf("before the record expires: %s", got)
		}
		time.Sleep(2 * time.Second)
		if got := ask("192.0.2.1", "mx.example.org"); got != "temperror" {
			t.Errorf("after the record expired: %s", got)
		}
	})
}
