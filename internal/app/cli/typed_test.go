package cli

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// An error names what was typed, not the field of the API behind it; over the
// control socket and without a server.
func TestErrorsNameWhatWasTyped(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	for line, say := range map[string]string{
		"policy try --client 192.0.2.1 --rcpt garbage":           `--rcpt: not a mail address: "garbage" has no @domain`,
		"domain set ours.test --catch-all garbage":               "--catch-all: not a mail address",
		"list add x --allow --ip garbage":                        `--ip: "garbage" is no IP address`,
		"list add x --block --domain far.test":                   "--domain: domain is for allow rules only",
		"relay add x --to far.test --host bad..host":             "--host: ",
		"relay add x --from a..b --direct":                       "--from: ",
		"relay try --from garbage --to a@else.test":              "--from: not a mail address",
		"token add x --network garbage":                          "--network: ",
		"alias add info@ours.test garbage":                       "<target>: not a mail address",
		"dns check a..b":                                         `<domain>: "a..b" is not a domain name`,
		"setting set server.time_zone=Nowhere":                   "server.time_zone: unknown",
		"setting set relay.mode=relay":                           "relay.hosts: mode relay needs a relay host",
		"setting set policy.spam.url=nowhere":                    `policy.spam.url: "nowhere" is no address of rspamd`,
		"setting set connections.total=5 connections.reserved=9": "connections.reserved: must be less",
	} {
		code := 2
		if strings.HasPrefix(line, "setting ") { // the settings refuse it, together with the others
			code = 1
		}
		b.want(code, "", line, "posthorn: "+say)
	}
}

// A command line that cannot be meant is told apart from one that failed.
func TestWrongValuesEndWithTwo(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	for line, say := range map[string]string{
		"list add x --allow --ip 192.0.2.1 --expires lots":                                  "--expires: ",
		"ban add 192.0.2.1 --for lots":                                                      "--for: ",
		"token add x --expires lots":                                                        "--expires: ",
		"setting set smtp.banner=x --trial nonsense":                                        "--trial: ",
		"setting set smtp.banner=x smtp.banner=y":                                           "smtp.banner is there twice",
		"setting set smtp.banner":                                                           "smtp.banner=VALUE",
		"policy try --client banana --rcpt admin@ours.test":                                 "--client: \"banana\"",
		"policy try --client 192.0.2.1 --rcpt admin":                                        "--rcpt: not a mail address",
		"policy try --client 192.0.2.1 --rcpt admin@ours.test --login no@ours.test":         "--login: ",
		"policy try --client 192.0.2.1 --rcpt admin@ours.test --set policy.spf.mode=banana": "posthorn: policy.spf.mode: \"banana\" is no mode",
		"policy replay --set policy.spf.mode=banana --since 1h":                             "posthorn: policy.spf.mode: \"banana\" is no mode",
		"policy replay --since abc":                                                         "--since: ",
		"trace nonesuch":                                                                    "<id>: ",
		"trace --since abc":                                                                 "--since: ",
		"trace --client abc":                                                                "--client: ",
		"trace --on someday":                                                                "--on: ",
		"trace --outcome bounced":                                                           "--outcome: ",
		"queue show nonesuch":                                                               "<id>: ",
		"queue remove":                                                                      "nothing is selected",
		"queue remove --yes":                                                                "nothing is selected",
		"queue list --state bogus":                                                          "--state: ",
		"setting set smtp.banner=x --trial 0s":                                              "--trial: ",
		"queue list --limit 2000":                                                           "--limit: 2000; a page has 1 to 1000 items",
		"trace --limit 1001":                                                                "--limit: 1001",
		"queue list --limit abc":                                                            "--limit: ",
		"list try":                                                                          "nothing to look for",
		"list try --client banana":                                                          "--client: ",
		"try send --from x --to y":                                                          "--from: ",
		"quickstart --listen smtp=192.0.2.1:25":                                             "loopback only",
		"quickstart --config nowhere.toml":                                                  "takes no --config",
		"list add x --ip 192.0.2.1":                                                         "--allow or --block",
		"relay add x --host smart.test":                                                     "--to or --from",
		"domain set ours.test":                                                              "nothing to change was given",
		"serve --listen smtp":                                                               `--listen smtp: "smtp" is not NAME=ADDR`,
		"quickstart --listen foo=127.0.0.1:0":                                               "use one of smtp, submission, submissions, lmtp, imap, imaps, pop3, pop3s, http, metrics",
		"quickstart --dns foo":                                                              `--dns: "foo" is not ADDRESS:PORT`,
	} {
		b.want(2, "", line, say, "Try: posthorn "+strings.Fields(line)[0])
	}
	// What the command line rightly asks for may still fail.
	id := b.message()
	b.want(1, "", "trace "+id, "No record of "+id)
	b.want(1, "", "trace --json "+id, "No record of "+id)
}

// A name that is none leaves nothing behind.
func TestQuickstartLooksAtItsDomainFirst(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "new")
	b := &bench{t: t, dir: dir}
	b.want(2, "", "quickstart --domain not..a..domain", `--domain: "not..a..domain" is not a domain name`)
	if _, err := os.Stat(dir); err == nil {
		t.Error("the data folder was made")
	}
}
