package imapd

import (
	"crypto/tls"
	"io"
	"strings"
	"testing"
	"time"

	peer "github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapclient"
)

// TestAnIndependentClientIsServed plays the life of a mailbox with a client
// that shares no code with the server.
func TestAnIndependentClientIsServed(t *testing.T) {
	w := newWorld(t)
	defer w.close()
	var config *tls.Config
	w.tls, config = certificate(t)
	addr, group := w.open()
	defer group.Stop(t.Context())
	heard := make(chan uint32, 10)
	c, err := imapclient.DialStartTLS(addr, &imapclient.Options{TLSConfig: config, UnilateralDataHandler: &imapclient.UnilateralDataHandler{
		Mailbox: func(d *imapclient.UnilateralDataMailbox) {
			if d.NumMessages != nil {
				heard <- *d.NumMessages
			}
		},
	}})
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
	check("create", c.Create("Projekte/Größe", nil).Wait())
	check("subscribe", c.Subscribe("Projekte/Größe").Wait())
	boxes, err := c.List("", "*", &peer.ListOptions{ReturnStatus: &peer.StatusOptions{NumMessages: true, NumUnseen: true}, ReturnSubscribed: true}).Collect()
	check("list", err)
	found := false
	for _, b := range boxes {
		found = found || b.Mailbox == "Projekte/Größe" && b.Status != nil && *b.Status.NumMessages == 0
	}
	if !found {
		t.Errorf("%d mailboxes, without Projekte/Größe", len(boxes))
	}
	text := "From: Jürgen <j@a.example>\r\nSubject: Grüße\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/plain\r\n\r\none\r\n--b\r\nContent-Type: text/html\r\n\r\n<p>two\r\n--b--\r\n"
	for range 3 {
		a := c.Append("INBOX", int64(len(text)), &peer.AppendOptions{Flags: []peer.Flag{peer.FlagSeen}, Time: time.Unix(1e9, 0)})
		_, err := io.WriteString(a, text)
		check("append", err)
		check("append", a.Close())
		data, err := a.Wait()
		check("append", err)
		if data.UID == 0 {
			t.Error("no APPENDUID")
		}
	}
	box, err := c.Select("INBOX", nil).Wait()
	check("select", err)
	if box.NumMessages != 3 || box.UIDNext != 4 {
		t.Errorf("%+v", box)
	}
	messages, err := c.Fetch(peer.SeqSetNum(1, 3), &peer.FetchOptions{UID: true, Flags: true, Envelope: true, InternalDate: true, RFC822Size: true,
		BodyStructure: &peer.FetchItemBodyStructure{Extended: true}, BodySection: []*peer.FetchItemBodySection{{Part: []int{2}, Peek: true}}}).Collect()
	check("fetch", err)
	if len(messages) != 2 || messages[0].RFC822Size != int64(len(text)) || messages[1].UID != 3 || !messages[0].InternalDate.Equal(time.Unix(1e9, 0)) {
		t.Errorf("%+v", messages)
	}
	if parts, ok := messages[0].BodyStructure.(*peer.BodyStructureMultiPart); !ok || len(parts.Children) != 2 {
		t.Errorf("%+v", messages[0].BodyStructure)
	}
	for _, section := range messages[0].BodySection {
		if !strings.HasPrefix(string(section.Bytes), "<p>two") {
			t.Errorf("part 2 is %q", section.Bytes)
		}
	}
	hits, err := c.UIDSearch(&peer.SearchCriteria{Body: []string{"TWO"}, Flag: []peer.Flag{peer.FlagSeen}}, &peer.SearchOptions{ReturnAll: true, ReturnCount: true}).Wait()
	check("search", err)
	if hits.Count != 3 {
		t.Errorf("%+v", hits)
	}
	check("store", c.Store(peer.UIDSetNum(1), &peer.StoreFlags{Op: peer.StoreFlagsAdd, Flags: []peer.Flag{peer.FlagDeleted}}, nil).Close())
	moved, err := c.Move(peer.UIDSetNum(2), "Projekte/Größe").Wait()
	check("move", err)
	if moved.UIDValidity == 0 {
		t.Errorf("%+v", moved)
	}
	gone, err := c.Expunge().Collect()
	check("expunge", err)
	if len(gone) != 1 {
		t.Errorf("%v", gone)
	}
	idle, err := c.Idle()
	check("idle", err)
	for len(heard) > 0 {
		<-heard
	}
	check("deliver", w.deliver("alice"))
	select {
	case n := <-heard:
		if n != 2 {
			t.Errorf("IDLE tells %d messages", n)
		}
	case <-time.After(10 * time.Second):
		t.Error("IDLE tells nothing")
	}
	check("idle", idle.Close())
	check("idle", idle.Wait())
	check("logout", c.Logout().Wait())
}
