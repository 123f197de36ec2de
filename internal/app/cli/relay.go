package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"posthorn/internal/server/manage"
)

type relayCmd struct {
	Domain relayDomainCmd `cmd:"" help:"Domains whose mail is handed on to their main server."`
	Add    relayAddCmd    `cmd:"" help:"Send some mail through a relay host of its own, or directly."`
	List   relayListCmd   `cmd:"" help:"List the rules in their order."`
	Show   relayShowCmd   `cmd:"" help:"Show one rule."`
	Set    relaySetCmd    `cmd:"" help:"Change a rule."`
	Remove relayRemoveCmd `cmd:"" help:"Remove a rule."`
	Export relayExportCmd `cmd:"" help:"Write all rules, without passwords, for import."`
	Import relayImportCmd `cmd:"" help:"Add or replace rules from a file, all or nothing."`
	Try    relayTryCmd    `cmd:"" help:"Which way would a message take?"`
}

// relayHostFields are what names another mail server.
type relayHostFields struct {
	Host           []string `field:"hosts" help:"Name or address of the server; more are tried in their order." placeholder:"HOST"`
	Port           *int     `help:"Its port (25)." placeholder:"N"`
	Secure         *bool    `negatable:"" help:"Only with TLS and a certificate that matches."`
	AnyCertificate *bool    `negatable:"" help:"Take any certificate."`
	Fingerprint    *string  `help:"SHA-256 of the only certificate taken." placeholder:"HEX"`
}

func (f relayHostFields) change() manage.RelayHostChange {
	c := manage.RelayHostChange{Port: f.Port, Secure: f.Secure, AnyCertificate: f.AnyCertificate, Fingerprint: f.Fingerprint}
	if f.Host != nil {
		c.Hosts = &f.Host
	}
	return c
}

// relayFields are what add and set can give.
type relayFields struct {
	To   []string `field:"targets,kind" help:"The rule is for these recipients: addresses, domains, or .DOMAIN for subdomains." placeholder:"TARGET" xor:"kind"`
	From []string `field:"targets,kind" help:"The rule is for these senders." placeholder:"TARGET" xor:"kind"`
	relayHostFields
	Direct        bool    `help:"Without a relay host: to the recipients' own servers."`
	User          *string `help:"Name to log in with (empty: no login)." placeholder:"NAME"`
	PasswordStdin bool    `field:"password" help:"Read the password from the first line of standard input."`
	ClearLogin    *bool   `negatable:"" help:"Log in even without TLS."`
	Disabled      *bool   `negatable:"" help:"Keep the rule and do not use it."`
	Position      *int    `help:"Place in the list." placeholder:"N"`
}

func (f relayFields) change(s *Streams) (manage.RelayRuleChange, error) {
	c := manage.RelayRuleChange{RelayHostChange: f.relayHostFields.change(), User: f.User, ClearLogin: f.ClearLogin, Disabled: f.Disabled, Position: f.Position}
	kinds := map[string][]string{"recipient": f.To, "sender": f.From}
	for kind, targets := range kinds {
		if targets != nil {
			c.Kind, c.Targets = &kind, &targets
		}
	}
	if f.Direct {
		if f.Host != nil {
			return c, misuse("--direct and --host contradict each other")
		}
		c.Hosts, c.User = &[]string{}, new(string)
	}
	if f.PasswordStdin {
		secret, err := firstLine(s.In)
		if err != nil {
			return c, err
		}
		c.Password = &secret
	}
	return c, nil
}

type relayAddCmd struct {
	Name string `arg:"" help:"Name of the rule."`
	relayFields
}

func (c *relayAddCmd) Run(ctx context.Context, w *Where, s *Streams) error {
	if c.To == nil && c.From == nil {
		return misuse("say which mail the rule is for, with --to or --from")
	}
	if c.Host == nil && !c.Direct {
		return misuse("say where the mail goes, with --host or --direct")
	}
	change, err := c.change(s)
	if err != nil {
		return err
	}
	return does(ctx, w, s, "relay-add", manage.RelayAddInput{Body: manage.NewRelayRule{Name: c.Name, RelayRuleChange: change}},
		"Rule %s added. What it does: posthorn relay try --to ADDRESS", c.Name)
}

type relayListCmd struct{}

func (c *relayListCmd) Run(ctx context.Context, w *Where, s *Streams) error {
	page := func(p manage.Paging) any { return manage.RelayListInput{Paging: p} }
	return list(ctx, w, s, "relay-list", page, func(all []manage.RelayRule) error {
		if len(all) == 0 {
			_, err := fmt.Fprintln(s.Out, s.hint("No rules: all mail goes the general way (posthorn setting get relay.mode)."))
			return err
		}
		t := newTable(s.Out, "", "RULE", "FOR", "THROUGH", "LOGIN", "STATE")
		for _, r := range all {
			t.row(strconv.Itoa(r.Position), r.Name, ruleTargets(r), through(r.RelayHost, "directly"), none(r.User, "-"), onOff(r.Disabled))
		}
		return t.end()
	})
}

// ruleTargets is what a rule is for, cut short.
func ruleTargets(r manage.RelayRule) string {
	const shown = 3
	word := map[string]string{"recipient": "to ", "sender": "from "}[r.Kind]
	if more := len(r.Targets) - shown; more > 0 {
		return word + strings.Join(r.Targets[:shown], ", ") + fmt.Sprintf(" and %d more", more)
	}
	return word + strings.Join(r.Targets, ", ")
}

// through names a relay; without one mail goes the way given.
func through(h manage.RelayHost, without string) string {
	if len(h.Hosts) == 0 {
		return without
	}
	text := strings.Join(h.Hosts, ", ") + " port " + strconv.Itoa(h.Port)
	if h.Secure {
		text += " with TLS"
	}
	return text
}

type relayShowCmd struct {
	Name string `arg:"" help:"Name of the rule."`
}

func (c *relayShowCmd) Run(ctx context.Context, w *Where, s *Streams) error {
	return show(ctx, w, s, "relay-show", manage.RelayInput{Name: c.Name}, func(r manage.RelayRule) error {
		pairs := append([]string{"Rule", r.Name, "Position", strconv.Itoa(r.Position), "State", onOff(r.Disabled), "For the " + r.Kind, strings.Join(r.Targets, ", "),
			"Mail goes", through(r.RelayHost, "directly")}, certificate(r.RelayHost)...)
		return facts(s.Out, append(pairs, "Logs in as", none(r.User, "nobody"), "Password", map[bool]string{true: "set", false: "-"}[r.PasswordSet],
			"Login without TLS", yes(r.ClearLogin), "Since", when(r.Created))...)
	})
}

// certificate says what is unusual about the certificates taken.
func certificate(h manage.RelayHost) []string {
	switch {
	case h.AnyCertificate:
		return []string{"Certificate", "any is taken"}
	case h.Fingerprint != "":
		return []string{"Certificate", "only " + h.Fingerprint}
	}
	return nil
}

type relaySetCmd struct {
	Name string `arg:"" help:"Name of the rule."`
	relayFields
}

func (c *relaySetCmd) Run(ctx context.Context, w *Where, s *Streams) error {
	change, err := c.change(s)
	if err != nil {
		return err
	}
	return does(ctx, w, s, "relay-set", manage.RelaySetInput{Name: c.Name, Body: change}, "Rule %s changed.", c.Name)
}

type relayRemoveCmd struct {
	Name string `arg:"" help:"Name of the rule."`
}

func (c *relayRemoveCmd) Run(ctx context.Context, w *Where, s *Streams) error {
	return does(ctx, w, s, "relay-remove", manage.RelayInput{Name: c.Name}, "Rule %s removed.", c.Name)
}

type relayExportCmd struct{}

func (c *relayExportCmd) Run(ctx context.Context, w *Where, s *Streams) error {
	return show(ctx, w, s, "relay-export", manage.RelayExportInput{}, func(f manage.RelayRuleFile) error { return printJSON(s.Out, f) })
}

type relayImportCmd struct {
	File    string `arg:"" help:"File as export writes it; - for standard input."`
	Replace bool   `help:"Remove the rules that the file does not have."`
}

// maxRuleFile is how much of a file is read.
const maxRuleFile = 16 << 20

func (c *relayImportCmd) Run(ctx context.Context, w *Where, s *Streams) error {
	from := s.In
	if c.File != "-" {
		f, err := os.Open(c.File)
		if err != nil {
			return err
		}
		defer func() { _ = f.Close() }() // read only
		from = f
	}
	var in manage.RelayImportInput
	in.Body.Replace = c.Replace
	d := json.NewDecoder(io.LimitReader(from, maxRuleFile))
	d.DisallowUnknownFields()
	if err := d.Decode(&in.Body.RelayRuleFile); err != nil {
		return fmt.Errorf("%s is not a file as posthorn relay export writes it, in JSON: %w", c.File, err)
	}
	return does(ctx, w, s, "relay-import", in, "%s imported.", plural(int64(len(in.Body.Rules)), "rule"))
}

type relayTryCmd struct {
	From string `field:"sender" help:"Envelope sender (none: the null one, of notices)." placeholder:"ADDRESS"`
	To   string `required:"" field:"recipient" help:"Envelope recipient." placeholder:"ADDRESS"`
}

func (c *relayTryCmd) Run(ctx context.Context, w *Where, s *Streams) error {
	return show(ctx, w, s, "relay-try", manage.RelayTryInput{Sender: c.From, Recipient: c.To}, func(way manage.RelayWay) error {
		_, err := fmt.Fprintln(s.Out, way.Why)
		return err
	})
}
