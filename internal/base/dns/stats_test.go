package dns

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"

	mdns "github.com/miekg/dns"
)

func TestStatsTellMemoryFromServersAndFailures(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := New(Options{Servers: func() []string { return []string{"192.0.2.53:53"} },
			Exchange: func(_ context.Context, _ string, q *mdns.Msg) (*mdns.Msg, error) {
				if q.Question[0].Name == "down.example." {
					return nil, errors.New("nobody answers")
				}
				a := new(mdns.Msg).SetReply(q)
				rr, err := mdns.NewRR(q.Question[0].Name + " 300 IN TXT hello")
				a.Answer = append(a.Answer, rr)
				return a, err
			}})
		for range 3 {
			if _, err := r.TXT(t.Context(), "up.example"); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := r.TXT(t.Context(), "down.example"); !errors.Is(err, ErrTemporary) {
			t.Fatal(err)
		}
		s := r.Stats()
		if s.Hits != 2 || s.Misses != 2 || s.Failures != 1 || s.Entries != 2 || s.Bytes <= 0 {
			t.Errorf("%+v", s)
		}
	})
}
