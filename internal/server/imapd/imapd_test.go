package imapd

import (
	"testing"
	"testing/synctest"
	"time"

	"posthorn/internal/testkit/transcript"
)

// TestTranscripts plays testdata/*.txtar: each part is a dialogue with a server
// over the real store, in virtual time. The first line of a file names what
// it shows.
func TestTranscripts(t *testing.T) { transcript.Files(t, play) }

func play(t *testing.T, dialogue string) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		defer w.close()
		ca, pool := certificate(t)
		w.tls = ca
		err := transcript.Run(expand(dialogue), transcript.Options{
			Serve: w.serve,
			TLS:   pool,
			Commands: map[string]func(string) error{
				"deliver": w.deliver,
				"fail":    func(name string) error { w.faults.fail(failures[name]); return nil },
				"blind":   func(s string) error { w.faults.blind.Store(s == "on"); return nil },
				"stand": func(s string) error {
					d, err := time.ParseDuration(s)
					w.faults.stands.Store(int64(d))
					return err
				},
				"secure":       func(string) error { w.offer.PlaintextWithoutTLS = false; return nil },
				"hurry":        func(string) error { w.settings.SearchTime = -1; return nil },
				"limit":        func(string) error { w.settings.MessageSize = 1000; return nil },
				"uncompressed": func(string) error { w.settings.Compress = false; return nil },
			},
		})
		if err != nil {
			t.Error(err)
		}
	})
}
