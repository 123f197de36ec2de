package e2e

import (
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// useGetmail reads by both protocols into a Maildir, leaving mail and taking
// it; what it has seen it knows by the unique identifiers.
func useGetmail(p *post) {
	dir := filepath.Join(p.home, "getmail")
	box := p.maildir("getmail/mail")
	p.file("sitecustomize.py", getmailWaits)
	get := func(protocol, options string) result {
		p.t.Helper()
		kind := "Simple" + protocol + p.one("SSL", "", "") + "Retriever"
		more := p.one("ca_certs = "+p.home+"/ca.pem", "", "")
		if protocol == "IMAP" {
			more += "\nrecord_mailbox = false\nmailboxes = (\"" + strings.Join(folders(), "\", \"") + "\")"
		}
		port := map[string]string{"IMAP": p.port(p.imapAt), "POP3": p.port(p.popAt)}[protocol]
		p.file("getmail/rc", fmt.Sprintf(`[retriever]
type = %s
server = localhost
port = %s
username = %s
password = %s
%s
[destination]
type = Maildir
path = %s/
[options]
delivered_to = false
received = false
verbose = 2
%s
`, kind, port, p.me, password, more, box, options))
		cmd := p.command("getmail", "--getmaildir", dir, "--rcfile", "rc")
		cmd.Env = append(cmd.Env, "PYTHONPATH="+p.home)
		nobodys(p, cmd.SysProcAttr)
		return p.end(cmd, nil)
	}
	const leave, take = "read_all = false\ndelete = false", "read_all = true\ndelete = true"
	sent := letters("a@else.example", p.me)
	for _, protocol := range []string{"POP3", "IMAP"} {
		boxes := []string{"INBOX"}
		if protocol == "POP3" {
			p.deliver(p.me, sent)
		} else {
			boxes = folders()
			p.furnish(p.me, sent)
		}
		for _, x := range []struct {
			options  string
			messages int
		}{{leave, len(sent)}, {leave, 0}, {take, len(sent)}, {take, 0}} {
			if err := os.RemoveAll(box); err != nil {
				p.t.Fatal(err)
			}
			p.maildir("getmail/mail")
			if r := get(protocol, x.options); r.code != 0 {
				p.t.Fatalf("%s %q: exit %d\n%s%s", protocol, x.options, r.code, r.out, r.err)
			}
			kept(p.t, maildirFiles(p.t, box), texts(sent[:x.messages]))
		}
		p.distrusts("CERTIFICATE", func() result { return get(protocol, take) })
		for _, name := range boxes {
			if left := messages(p.t, p.imap(p.me), name); len(left) != 0 {
				p.t.Errorf("%s: %d messages are left in %s", protocol, len(left), name)
			}
		}
	}
}

// getmailWaits mends getmail 6.18, which sleeps for a minute and fails when the
// child that writes a message ends before it begins to wait for it.
const getmailWaits = `import os, sys
sys.path.append("/usr/lib/python3/dist-packages")
from getmailcore import baseclasses
baseclasses.ForkingBase._prepare_child = lambda self: None
baseclasses.ForkingBase._wait_for_child = lambda self, pid: os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
`

// nobodys makes a program run as nobody who owns the home, because it refuses
// to write mail as root.
func nobodys(p *post, a *syscall.SysProcAttr) {
	p.t.Helper()
	if os.Getuid() != 0 {
		return
	}
	nobody, err := user.Lookup("nobody")
	if err != nil {
		missing(p.t, "the user nobody")
	}
	uid, err := strconv.Atoi(nobody.Uid)
	if err != nil {
		p.t.Fatal(err)
	}
	gid, err := strconv.Atoi(nobody.Gid)
	if err != nil {
		p.t.Fatal(err)
	}
	err = filepath.WalkDir(p.home, func(path string, _ os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Chown(path, uid, gid)
	})
	if err != nil {
		p.t.Fatal(err)
	}
	a.Credential = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid), Groups: []uint32{}}
}
