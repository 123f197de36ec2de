package app

import (
	"crypto/tls"
	"testing"

	"posthorn/internal/state/setting"
)

// The certificate the server makes itself carries the name of the settings in force.
func TestOwnCertificateObeysAChangeOfTheHostname(t *testing.T) {
	t.Parallel()
	h := newHouse(t, OpenOptions{})
	certs, err := h.openCerts()
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"one.example.test", "two.example.test"} {
		if _, err := h.Settings.Save(t.Context(), setting.Edit{Set: map[string]string{"server.hostname": name}, Author: "test"}); err != nil {
			t.Fatal(err)
		}
		c, err := certs.Certificate(&tls.ClientHelloInfo{})
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Leaf.VerifyHostname(name); err != nil {
			t.Error(err)
		}
	}
}
