package imapd

import (
	"crypto/tls"
	"io"
	"testing"

	peer "github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapclient"
)

// TestAnIndependentClientSpeaksIMAP4rev2 uses what RFC 9051 and RFC 6855
// changed with a client that shares no code with the server.
func TestAnIndependentClientSpeaksIMAP4rev2(t *testing.T) {
	w := newWorld(t)
	defer w.close()
	var config *tls.Config
	w.tls, config = certificate(t)
	addr, group := w.open()
	defer group.Stop(t.Context())
	c, err := imapclient.DialStartTLS(addr, &imapclient.Options{TLSConfig: config})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	check := func(what string, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(what, err)
		}
	}
	check("login", c.Login("alice", "secret").Wait())
	for _, name := range []peer.Cap{peer.CapIMAP4rev1, peer.CapIMAP4rev2, peer.CapUTF8Accept, peer.CapQuota, peer.CapCreateSpecialUse, peer.CapObjectID} {
		if !c.Caps().Has(name) {
			t.Errorf("%s is not announced", name)
		}
	}
	enabled, err := c.Enable(peer.CapIMAP4rev2, peer.CapUTF8Accept).Wait()
	check("enable", err)
	if !enabled.Caps.Has(peer.CapIMAP4rev2) || !enabled.Caps.Has(peer.CapUTF8Accept) {
		t.Errorf("enabled %v", enabled.Caps)
	}
	const name = "Größe/日本語"
	check("create", c.Create(name, &peer.CreateOptions{SpecialUse: []peer.MailboxAttr{peer.MailboxAttrArchive}}).Wait())
	boxes, err := c.List("", "Größe/%", &peer.ListOptions{ReturnSpecialUse: true, ReturnStatus: &peer.StatusOptions{NumDeleted: true, Size: true}}).Collect()
	check("list", err)
	if len(boxes) != 1 || boxes[0].Mailbox != name || boxes[0].Status == nil || *boxes[0].Status.Size != 0 {
		t.Errorf("%+v", boxes)
	}
	text := "From: Jürgen <jürgen@größe.example>\r\nSubject: Grüße\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nschön\r\n"
	for range 2 {
		a := c.Append(name, int64(len(text)), nil)
		_, err := io.WriteString(a, text)
		check("append", err)
		check("append", a.Close())
		_, err = a.Wait()
		check("append", err)
	}
	box, err := c.Select(name, nil).Wait()
	check("select", err)
	if box.NumMessages != 2 || box.List == nil || box.List.Mailbox != name {
		t.Errorf("%+v", box)
	}
	found, err := c.Search(&peer.SearchCriteria{Header: []peer.SearchCriteriaHeaderField{{Key: "Subject", Value: "GRÜSSE"}}}, nil).Wait()
	check("search", err)
	if len(found.AllSeqNums()) != 0 { // ß is not ss
		t.Errorf("%v", found.AllSeqNums())
	}
	found, err = c.UIDSearch(&peer.SearchCriteria{Body: []string{"SCHÖN"}}, nil).Wait()
	check("search", err)
	if len(found.AllUIDs()) != 2 {
		t.Errorf("%v", found.AllUIDs())
	}
	messages, err := c.Fetch(peer.SeqSetNum(1), &peer.FetchOptions{Envelope: true, Flags: true, BinarySection: []*peer.FetchItemBinarySection{{Part: []int{1}, Peek: true}}}).Collect()
	check("fetch", err)
	if len(messages) != 1 || messages[0].Envelope.Subject != "Grüße" || messages[0].Envelope.From[0].Mailbox != "jürgen" || len(messages[0].Flags) != 0 {
		t.Errorf("%+v", messages[0].Envelope)
	}
	for _, section := range messages[0].BinarySection {
		if string(section.Bytes) != "schön\r\n" {
			t.Errorf("%q", section.Bytes)
		}
	}
	status, err := c.Status(name, &peer.StatusOptions{NumMessages: true, Size: true, NumUnseen: true}).Wait()
	check("status", err)
	if *status.NumMessages != 2 || *status.Size != 2*int64(len(text)) {
		t.Errorf("%+v", status)
	}
	quota, err := c.GetQuotaRoot(name).Wait()
	check("quota", err)
	if len(quota) != 0 {
		t.Errorf("%+v", quota)
	}
	check("unselect", c.Unselect().Wait())
	check("rename", c.Rename(name, "Größe/neu", nil).Wait())
	check("logout", c.Logout().Wait())
}
