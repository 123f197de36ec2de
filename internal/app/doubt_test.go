package app

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	mdns "github.com/miekg/dns"

	"posthorn/internal/app/boot"
	"posthorn/internal/base/dns"
	"posthorn/internal/base/ident"
	"posthorn/internal/flow/accept"
	"posthorn/internal/server/manage"
	"posthorn/internal/state/setting"
	"posthorn/internal/state/store"
	"posthorn/internal/testkit/authority"
)

// damage are ways in which what was stored about the relay gets useless.
var damage = map[string]func(t *testing.T, h *House){
	"relay.password": func(t *testing.T, h *House) { // the key is lost
		if err := os.WriteFile(filepath.Join(h.Config.Data, keyFile), []byte("new\n"), 0o600); err != nil {
			t.Error(err)
		}
	},
	"relay.mode":  func(t *testing.T, h *House) { stored(t, h, "relay.mode", "smart") },
	"relay.hosts": func(t *testing.T, h *House) { stored(t, h, "relay.hosts", "no/host") },
}

// stored stores a text that this version refuses.
func stored(t *testing.T, h *House, name, text string) {
	t.Helper()
	s := h.Store.Settings()
	version, err := s.Version(t.Context())
	if err == nil {
		_, err = s.Save(t.Context(), version, store.SettingChange{Author: "another version", Items: []store.SettingItem{{Name: name, New: text}}})
	}
	if err != nil {
		t.Error(err)
	}
}

// M-DEL-02, M-DEL-02c: settings that cannot be read must not send mail past the
// relay, nor without the TLS that was demanded.
func TestMailWaitsWhileTheRelaySettingsCannotBeUsed(t *testing.T) {
	t.Parallel()
	for name, spoil := range damage {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := boot.Config{Data: t.TempDir(), Log: boot.Log{Level: "info"}}
			synctest.Test(t, func(t *testing.T) {
				if err := reopen(t, c, OpenOptions{}, func(h *House) {
					set := map[string]string{"relay.mode": "relay", "relay.hosts": "smart.test", "relay.secure": "true", "relay.user": "me", "relay.password": "secret"}
					if _, err := h.Settings.Save(t.Context(), setting.Edit{Author: "eva", Set: set}); err != nil {
						t.Fatal(err)
					}
					spoil(t, h)
				}); err != nil {
					t.Fatal(err)
				}
				waitsInDoubt(t, c, name)
			})
		})
	}
}

func waitsInDoubt(t *testing.T, c boot.Config, name string) {
	asked := false
	resolver := dns.New(dns.Options{Servers: authority.Names("192.0.2.53:53"),
		Exchange: func(_ context.Context, _ string, m *mdns.Msg) (*mdns.Msg, error) {
			asked = asked || strings.Contains(m.String(), "far.test") || strings.Contains(m.String(), "smart.test")
			return nil, errors.New("unreachable")
		}})
	var log bytes.Buffer
	if err := reopen(t, c, OpenOptions{Resolver: resolver, Log: &log}, func(h *House) {
		ids := ident.NewSource()
		q := h.newQueues(accept.New(h.Store, accept.Options{Lifetime: h.lifetime}), ids)
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() { defer close(ended); q.run(ctx) }()
		defer func() { stop(); <-ended }()
		key := enqueue(t, h.Store, ids)
		time.Sleep(time.Minute)
		synctest.Wait()
		e := queued(t, h.Store, key)
		if e.Attempts == 0 || !strings.Contains(e.LastError, name+" cannot be used") || strings.Contains(e.LastError, c.Data) || asked {
			t.Errorf("%+v; the way was looked up: %v", e, asked)
		}
		if health := h.Service.Health(t.Context()); health.Ready {
			t.Errorf("health: %+v", health)
		}
		st, err := manage.Invoke[manage.Status](t.Context(), h.Service, "status", manage.None{})
		if err != nil || !strings.Contains(strings.Join(st.Problems, "\n"), name) {
			t.Errorf("status: %v, %v", st.Problems, err)
		}
		mended := setting.Edit{Author: "eva", Set: map[string]string{"relay.mode": "relay", "relay.hosts": "smart.test", "relay.password": "again"}}
		if _, err := h.Settings.Save(t.Context(), mended); err != nil {
			t.Fatal(err)
		}
		s, unused := h.handles.relay.Checked()
		if !s.Secure || s.User != "me" || len(unused) != 0 || !h.Service.Health(t.Context()).Ready {
			t.Errorf("mended: %+v, %v", s, unused)
		}
	}); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(log.String(), "setting.invalid") {
		t.Errorf("logged:\n%s", log.String())
	}
}
