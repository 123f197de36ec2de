package cli

import (
	"bytes"
	"encoding/json"
	"errors"
	"io/fs"
	"net"
	"os"
	"os/user"
	"strings"
	"testing"

	"posthorn/internal/app"
	"posthorn/internal/app/boot"
	"posthorn/internal/base/mail"
	"posthorn/internal/server/manage"
)

// A password that is made up is told, to programs too: nobody else knows it.
func TestAPasswordMadeUpIsToldToPrograms(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	_, said := b.say("", "account add js@ours.test --json")
	var a struct{ Address, Password string }
	if err := json.Unmarshal([]byte(said), &a); err != nil || a.Address != "js@ours.test" {
		t.Fatalf("%v: %s", err, said)
	}
	addr := a.Address
	if row, err := b.h.Directory.Login(t.Context(), addr); err != nil || len(a.Password) < 16 || row.ID == 0 {
		t.Errorf("%q is no password: %v", a.Password, err)
	}
	if _, said = b.say("correct horse battery\n", "account add known@ours.test --password-stdin --json"); strings.Contains(said, `"password"`) {
		t.Errorf("a password that was given is repeated: %s", said)
	}
}

// What was taken back cannot be kept any more, and nobody is told that it is.
func TestATrialThatIsOverIsNotKept(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.want(0, "", "setting set smtp.banner=one --trial 1h", "version 1, on trial")
	b.want(0, "", "setting undo 1")
	b.want(1, "", "setting confirm 1", "version 1 is not on trial")
	b.want(0, "", "setting history", "on trial until")
	if v := b.h.Settings.Registry().Version(); v != 2 {
		t.Errorf("version %d", v)
	}
}

// A host stays out while a network around it is banned, and this is said.
func TestLiftingABanNamesTheOneAroundIt(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.want(0, "", "ban add 192.0.2.9")
	b.want(0, "", "ban add 192.0.2.0/24")
	b.want(0, "", "ban list", "no end")
	b.want(0, "", "ban lift 192.0.2.9", "still stays out", "192.0.2.0/24", "posthorn ban lift 192.0.2.0/24")
	b.want(0, "", "ban lift 192.0.2.0/24", "192.0.2.0/24 is let in again.")
	b.want(1, "", "ban lift 192.0.2.0/24", "is not banned")
}

// A rule that is disabled does nothing, and is not said to do something.
func TestADisabledRuleIsNotSaidToAct(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.want(0, "", "list add partner --allow --domain far.test", "Rule partner added: mail is allowed from senders of far.test")
	b.want(0, "", "list set partner --disabled", "Rule partner changed: nothing while it is disabled", "posthorn list set partner --no-disabled")
	b.want(0, "", "list show partner", "nothing while it is disabled")
	b.want(0, "", "list set partner --no-disabled", "changed: mail is allowed")
}

// A * matches only itself; who writes one means something else.
func TestAPatternOfSendersIsRefused(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.want(2, "", "list add wild --block --sender *@bar.test", "a * stands for itself", "--domain bar.test", "--network")
	b.want(2, "", "list add wild --block --recipient *@ours.test", "a * stands for itself")
}

func TestARelayDomainSaysWhereMailGoes(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.want(0, "", "relay domain add rd inside.test --host mx.inside.test", "Mail for inside.test now goes on to mx.inside.test port 25.")
	b.want(0, "", "relay domain add rd2 inside2.test", "now goes on to the main server that DNS names inside.")
}

// Every hint is about the same server when it is typed as it stands.
func TestHintsNameTheServer(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"All: posthorn ban list":                              "All: posthorn ban list --data D",
		"posthorn queue show ID. See: posthorn trace ID":      "posthorn queue show --data D ID. See: posthorn trace --data D ID",
		"(posthorn setting history)":                          "(posthorn setting history --data D)",
		"posthorn relay domain set x --recipient A":           "posthorn relay domain set --data D x --recipient A",
		"posthorn policy try --help":                          "posthorn policy try --help",
		"posthorn trace --data /x 1":                          "posthorn trace --data /x 1",
		"posthorn quickstart, or posthorn serve":              "posthorn quickstart, or posthorn serve",
		"posthorn is running, posthorn listens":               "posthorn is running, posthorn listens",
		"posthorn greylist lift-all, posthorn ban lift-all x": "posthorn greylist --data D lift-all, posthorn ban lift-all --data D x",
	} {
		if got := (&Where{Data: "D"}).hint(text); got != want {
			t.Errorf("%s: %s, want %s", text, got, want)
		}
		if got := (&Where{}).hint(text); got != text {
			t.Errorf("without a flag: %s", got)
		}
	}
	b := newBench(t)
	for _, line := range []string{"queue list", "queue show nothing", "setting set smtp.banner=x", "ban show 192.0.2.1", "list list"} {
		var out, err bytes.Buffer
		Run(t.Context(), append(strings.Fields(line), "--data", b.dir), Streams{In: strings.NewReader(""), Out: &out, Err: &err})
		said := out.String() + err.String()
		if n := strings.Count(said, "posthorn "); n != strings.Count(said, "--data "+b.dir) && line != "queue show nothing" {
			t.Errorf("%s: %s", line, said)
		}
	}
}

// A field's value may be folded over lines; that is not shown as dirt.
func TestFoldedFieldsAreOneLine(t *testing.T) {
	t.Parallel()
	if got := clean(unfold("one\r\n two\r\n\tthree")); got != "one two three" {
		t.Errorf("%q", got)
	}
}

// Addresses are set up in any order, but one that leads nowhere is not passed
// over in silence.
func TestAnAliasThatLeadsNowhereIsTold(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.want(0, "", "alias add info@ours.test missing@ours.test", "Mail for info@ours.test now goes to missing@ours.test.",
		"Warning: missing@ours.test gets nothing of it: nobody has this address", "Warning: mail for info@ours.test is refused (550)")
	b.want(0, "", "alias list", "missing@ours.test (leads nowhere)")
	b.want(0, "", "alias show info@ours.test", "missing@ours.test (gets nothing: nobody has this address)")
	b.want(0, "", "alias add l1@ours.test l2@ours.test")
	b.want(0, "", "alias add l2@ours.test l1@ours.test", "Warning: l1@ours.test gets nothing of it: it is an alias or a group that leads nowhere, or back to itself")
	if code, said := b.say("", "alias add ok@ours.test admin@ours.test x@else.test"); code != 0 || strings.Contains(said, "Warning") {
		t.Errorf("exit %d: %s", code, said)
	}
	b.want(0, "", "account add q2@ours.test")
	b.want(0, "", "group add team@ours.test admin@ours.test q2@ours.test")
	b.want(0, "", "domain set ours.test --catch-all q2@ours.test")
	b.want(0, "", "account remove q2@ours.test --yes", "Warning: the group team@ours.test still leads to q2@ours.test (posthorn group set team@ours.test --drop q2@ours.test)", "posthorn domain set ours.test --catch-all")
	b.want(0, "", "domain set ours.test --catch-all=")
	b.want(0, "", "group set team@ours.test --add nobody.there@ours.test", "Warning: nobody.there@ours.test gets nothing of it", "Warning: q2@ours.test gets nothing")
	code, answer := b.call(manage.Administrator, "POST", "/aliases", `{"address":"j@ours.test","targets":["no@ours.test"]}`)
	if code != 201 || !strings.Contains(answer, `"warnings"`) || !strings.Contains(answer, `"dangling"`) {
		t.Errorf("%d %s", code, answer)
	}
}

// Whoever may not talk to the server is told who may.
func TestAnotherUsersServerNamesItsUser(t *testing.T) {
	t.Parallel()
	err := barred(t.TempDir(), fs.ErrPermission)
	u, failed := user.Current()
	if failed != nil {
		t.Fatal(failed)
	}
	if !strings.Contains(err.Error(), "run this as root") || !strings.Contains(err.Error(), u.Username) || !errors.Is(err, fs.ErrPermission) {
		t.Error(err)
	}
	dir := t.TempDir()
	if _, err := manage.Reach(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
	if os.Geteuid() == 0 {
		return // root may enter everywhere
	}
	if err := os.Chmod(dir, 0); err != nil {
		t.Fatal(err)
	}
	b := &bench{t: t, dir: dir}
	b.want(1, "", "status", "run this as root or as "+u.Username)
}

// A second server is told of the first, not of a port.
func TestASecondServerIsToldOfTheFirst(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	b.want(1, "", "serve --allow-root --listen smtp="+taken.Addr().String(), "a server runs on "+b.dir+" already (posthorn status)")
	b.want(1, "", "quickstart --listen smtp=127.0.0.1:0", "has the data in ", "stop it first")
}

// People read the Unicode form of their domains, programs the form of DNS.
func TestPeopleReadTheirDomains(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.want(0, "", "domain add bücher.test")
	b.want(0, "", "account add demo@bücher.test anna@bücher.test", "Account demo@bücher.test added")
	b.want(0, "", "alias add info@bücher.test demo@bücher.test")
	for _, line := range []string{"account list", "account show demo@bücher.test", "alias list", "alias show info@bücher.test"} {
		b.want(0, "", line, "demo@bücher.test")
		if _, said := b.say("", line); strings.Contains(said, "xn--") {
			t.Errorf("%s: %s", line, said)
		}
		b.want(0, "", line+" --json", "demo@xn--bcher-kva.test")
	}
	if err := b.h.SaveTrial(map[string]string{"demo@xn--bcher-kva.test": "hidden"}); err != nil {
		t.Fatal(err)
	}
	if p, err := (login{}).password(&Where{Data: b.dir}, &Streams{}, "Demo@BÜCHER.test"); err != nil || p != "hidden" {
		t.Errorf("%q, %v", p, err)
	}
}

// A header has no octets outside ASCII (RFC 2047).
func TestATryEncodesItsSubject(t *testing.T) {
	t.Parallel()
	c := trySendCmd{Subject: "Ünïcode\r\nBcc: x", Text: "x"}
	a := mail.Address{Local: "a", Domain: "ours.test"}
	text := string(c.message(a, a))
	if strings.ContainsFunc(text, func(r rune) bool { return r >= 0x80 }) || !strings.Contains(text, "Subject: =?utf-8?q?") || strings.Contains(text, "\nBcc") {
		t.Error(text)
	}
	if c.Subject = "plain"; !strings.Contains(string(c.message(a, a)), "Subject: plain\r\n") {
		t.Error("a plain subject is encoded")
	}
}

// What is asked of DNS is where mail really goes.
func TestDNSOfTheNextHopIsChecked(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.want(0, "", "relay domain add rd inside.test --host mx.ours.test --host gone.ours.test")
	b.want(0, "", "dns check inside.test", "next hop: mx.ours.test, gone.ours.test", "mx.ours.test: 192.0.2.1", "red     gone.ours.test", "posthorn relay domain set")
	b.want(0, "", "setting set relay.mode=relay relay.hosts=gone.ours.test")
	b.want(0, "", "dns check far.test", "next hop: gone.ours.test", "the general mode is relay")
	if _, said := b.say("", "dns check ours.test"); strings.Contains(said, "next hop") {
		t.Errorf("mail stays here: %s", said)
	}
}

// Name servers that are not there are not waited for.
func TestANameServerThatIsNotThereIsNamed(t *testing.T) {
	t.Parallel()
	gone, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := gone.LocalAddr().String()
	if err := gone.Close(); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	house, err := app.Open(t.Context(), boot.Config{Data: dir, DNS: boot.DNS{Preferred: addr}}, app.OpenOptions{Version: "test"})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := house.Close(); err != nil {
			t.Error(err)
		}
	}()
	r, err := manage.Invoke[manage.DNSReport](t.Context(), house.Service, "dns-domain", manage.DNSDomainInput{Name: "far.test"})
	if err != nil || len(r.Checks) == 0 || !strings.Contains(r.Checks[0].Say, "No name server answers at "+addr) || !strings.Contains(r.Checks[0].Say, "dns.preferred") || !strings.Contains(r.Checks[0].Say, "[dns]") {
		t.Errorf("%+v, %v", r, err)
	}
}

// What is not there is answered with the command that lists what is.
func TestWhatIsNotThereIsFollowedByWhatIs(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	for line, say := range map[string]string{
		"domain show nowhere.test": "posthorn domain list", "list show nothing": "posthorn list list", "token show nothing": "posthorn token list",
		"relay show nothing": "posthorn relay list", "relay domain show nothing": "posthorn relay domain list", "alias show no@ours.test": "posthorn alias list",
	} {
		b.want(1, "", line, say)
	}
}

// Small things that were said badly.
func TestSmallThingsAreSaidPlainly(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.want(1, "", "setting set policy.size.inbound=5", "policy.size.inbound: 5 octets would keep every mail out", "50MB")
	b.want(0, "one\n", "setting set relay.user=me relay.password --stdin")
	b.want(0, "two\n", "setting set relay.password --stdin", "relay.password: set to another value")
	b.want(0, "", "setting history", "relay.password: set to another value")
	b.want(1, "", "setting set policy.classes.subnets=192.0.2.0/24=friend", "untrusted, trusted, dial-up")
	b.want(0, "", "setting set queue.paused=true")
	b.want(0, "", "status", "PAUSED")
	b.want(2, "", "dns", "say what to do: check")
	b.want(2, "", "account add x@ours.test --quota -5", "Most octets kept, such as 10GB")
	b.want(1, "domain = x", "relay import -", "posthorn relay export")
	b.want(1, "", "account remove admin@ours.test", "--yes")
	b.want(0, "", "account remove --help", "Needed: nothing is asked")
	b.want(0, "", "domain add next.test", "Next: posthorn account add", "NAME@next.test\n")
	b.want(0, "", "setting set --help", "--trial=TIME")
	code, answer := b.call(manage.Administrator, "POST", "/domains", `{"name":"bücher.test"}`)
	if code != 201 || !strings.Contains(answer, `"name":"xn--bcher-kva.test"`) {
		t.Errorf("%d %s", code, answer)
	}
}

// What is to be typed can be copied: no shell takes it for a pipe or a file.
func TestASettingIsChangedByWhatItsExplanationSays(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	for name, want := range map[string]string{"relay.mode": "relay.mode=relay   # direct, relay\n", "relay.password": "relay.password --stdin   # ", "smtp.banner": "smtp.banner=VALUE\n"} {
		_, said := b.say("", "setting explain "+name)
		_, command, _ := strings.Cut(said, "Change it: ")
		if command, _, _ = strings.Cut(command, "#"); !strings.Contains(said, want) || strings.ContainsAny(command, "|<>();&") {
			t.Errorf("%s: %s", name, said)
		}
	}
}

// What was set to its default is at its default.
func TestASettingThatIsItsDefaultIsNotChanged(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.want(0, "", "setting set relay.mode=relay relay.hosts=smart.test")
	b.want(0, "", "setting list --changed", "relay.mode", "relay.hosts")
	b.want(0, "", "setting set relay.mode=direct")
	if code, said := b.say("", "setting list --changed"); code != 0 || strings.Contains(said, "relay.mode") || !strings.Contains(said, "relay.hosts") {
		t.Errorf("exit %d: %s", code, said)
	}
}

// In a disabled domain nobody logs in; the last administrator is not to lock
// himself out by it.
func TestTheDomainOfTheLastAdministratorStaysOpen(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.want(0, "", "domain add other.test")
	b.want(1, "", "domain set ours.test --disabled", "without ours.test no administrator could log in")
	if code, said := b.call(manage.Administrator, "PATCH", "/domains/ours.test", `{"disabled":true}`); code != 422 {
		t.Errorf("over HTTP: %d, %s", code, said)
	}
	b.want(0, "", "account add boss@other.test --admin")
	b.want(0, "", "domain set ours.test --disabled")
	b.want(1, "", "account set boss@other.test --disabled", "boss@other.test is the last administrator")
	b.want(1, "", "domain set other.test --disabled", "without other.test")
}
