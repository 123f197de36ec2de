package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapclient"
)

// many is how many messages the mirrors of this file have.
const many = 500

// Mirrors that are killed while they bring mail down or up lose nothing and
// make nothing twice, and when they are done there is nothing more to do.
func TestMirrorsResumeAfterKill(t *testing.T) {
	t.Parallel()
	s := abroad(t)
	t.Run("mbsync", func(t *testing.T) {
		t.Parallel()
		p := open(t, s, implicit, "mbsync-many")
		m := p.mirror(t, p.home+"/ca.pem", p.me, "Port "+p.port("imaps"), "SSLType IMAPS", "AuthMechs PLAIN")
		down, up := fill(p, m.far), pile(p, filepath.Join(m.dir, utf7("旅行")), many/2)
		run := func() *exec.Cmd { return p.command("mbsync", "-q", "-c", m.config, "-a") }
		arrived := func() int { return len(inFolder(t, m.dir)) }
		for _, enough := range []int{many / 10, many / 2} {
			p.killed(run(), func() bool { return arrived() >= enough+len(up) })
		}
		for _, enough := range []int{many / 10, many / 4} {
			p.killed(run(), func() bool { return count(t, m.far, "旅行") >= enough })
		}
		m.sync()
		once(t, "here", down, contents(maildirFiles(t, filepath.Join(m.dir, "INBOX"))))
		once(t, "there", down, keys(messages(t, m.far, "INBOX")))
		once(t, "here", up, contents(maildirFiles(t, filepath.Join(m.dir, utf7("旅行")))))
		once(t, "there", up, keys(messages(t, m.far, "旅行")))
	})
	// What offlineimap had sent up when it was killed it sends again; so only
	// the way down promises something.
	t.Run("offlineimap", func(t *testing.T) {
		t.Parallel()
		p := open(t, s, implicit, "offlineimap-many")
		box := filepath.Join(p.home, "mail")
		rc := p.offlineimaprc(box)
		m := &mirror{t: t, far: p.imap(p.me), dir: box}
		down := fill(p, m.far)
		run := func() *exec.Cmd { return p.command("offlineimap", "-c", rc, "-o") }
		for _, enough := range []int{many / 10, many / 2} {
			p.killed(run(), func() bool { return len(inFolder(t, box)) >= enough })
		}
		p.run(nil, "offlineimap", "-c", rc, "-o")
		near, far := m.files(), m.state()
		p.run(nil, "offlineimap", "-c", rc, "-o")
		if !slices.Equal(near, m.files()) || !slices.Equal(far, m.state()) {
			t.Error("a run with nothing to do changed something")
		}
		once(t, "here", down, contents(maildirFiles(t, filepath.Join(box, "INBOX"))))
		once(t, "there", down, keys(messages(t, m.far, "INBOX")))
	})
}

// killed runs the command until the condition holds, then kills it.
func (p *post) killed(cmd *exec.Cmd, holds func() bool) {
	p.t.Helper()
	if err := cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
	until(p.t, "enough to interrupt "+cmd.Path, holds)
	_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) // it may just have ended
	if err := cmd.Wait(); err == nil {
		p.t.Logf("%s was done before it was killed", cmd.Path)
	}
}

// fill stores many messages in INBOX without waiting for each, and returns
// their identifiers.
func fill(p *post, c *imapclient.Client) []string {
	p.t.Helper()
	var ids []string
	var commands []*imapclient.AppendCommand
	for i := range many {
		id, content := numbered(i)
		w := c.Append("INBOX", int64(len(content)), nil)
		if _, err := w.Write(content); err != nil {
			p.t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			p.t.Fatal(err)
		}
		ids, commands = append(ids, id), append(commands, w)
	}
	for _, w := range commands {
		if _, err := w.Wait(); err != nil {
			p.t.Fatal(err)
		}
	}
	return ids
}

// pile puts messages into a Maildir and returns their identifiers.
func pile(p *post, dir string, n int) []string {
	p.t.Helper()
	for _, part := range []string{"tmp", "new", "cur"} {
		if err := os.MkdirAll(filepath.Join(dir, part), 0o700); err != nil {
			p.t.Fatal(err)
		}
	}
	var ids []string
	for i := range n {
		id, content := numbered(many + i)
		if err := os.WriteFile(filepath.Join(dir, "cur", fmt.Sprintf("%d.made.here:2,S", i)), unix(content), 0o600); err != nil {
			p.t.Fatal(err)
		}
		ids = append(ids, id)
	}
	return ids
}

func numbered(i int) (id string, content []byte) {
	id = fmt.Sprintf("<number.%d@else.example>", i)
	return id, fmt.Appendf(nil, "From: <a@else.example>\r\nSubject: %s\r\nMessage-ID: %s\r\n\r\n%s\r\n", word("utf-8", fmt.Sprint("手紙 ", i)), id, strings.Repeat("Zeile ", i%50))
}

// inFolder are the files of all Maildirs under root, without their contents.
func inFolder(t *testing.T, root string) []string {
	t.Helper()
	var all []string
	for _, part := range []string{"new", "cur"} {
		found, err := filepath.Glob(filepath.Join(root, "*", part, "*"))
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, found...)
	}
	return all
}

// count is how many messages the mailbox has, 0 if there is no mailbox yet.
func count(t *testing.T, c *imapclient.Client, mailbox string) int {
	t.Helper()
	all, err := c.List("", mailbox, &imap.ListOptions{ReturnStatus: &imap.StatusOptions{NumMessages: true}}).Collect()
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range all {
		if x.Status != nil {
			return int(*x.Status.NumMessages)
		}
	}
	return 0
}

// once fails the test unless each identifier is in exactly one content.
func once(t *testing.T, where string, ids, contents []string) {
	t.Helper()
	times := map[string]int{}
	for _, content := range contents {
		_, rest, _ := strings.Cut(content, "Message-ID: ")
		id, _, _ := strings.Cut(rest, ">")
		times[id+">"]++
	}
	for _, id := range ids {
		if times[id] != 1 {
			t.Errorf("%s is %d times %s", id, times[id], where)
		}
	}
	if len(contents) != len(ids) {
		t.Errorf("%d messages %s instead of %d", len(contents), where, len(ids))
	}
}

func contents(files map[string][]byte) []string {
	var all []string
	for _, content := range files {
		all = append(all, string(content))
	}
	return all
}

func keys(found map[string][]imap.Flag) []string {
	var all []string
	for content := range found {
		all = append(all, content)
	}
	return all
}
