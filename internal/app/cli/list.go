package cli

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"posthorn/internal/base/shell"
	"posthorn/internal/server/manage"
	"posthorn/internal/state/setting"
)

type listCmd struct {
	List   listListCmd   `cmd:"" help:"List the rules."`
	Add    listAddCmd    `cmd:"" help:"Allow or block a client, a sender, a recipient or a domain."`
	Show   listShowCmd   `cmd:"" help:"Show one rule."`
	Set    listSetCmd    `cmd:"" help:"Change a rule."`
	Remove listRemoveCmd `cmd:"" help:"Remove a rule."`
	Try    listTryCmd    `cmd:"" help:"Which rules match a mail, and what do they do?"`
	Export listExportCmd `cmd:"" help:"Write all rules as a text file."`
	Import listImportCmd `cmd:"" help:"Add the rules of a text file, all or none."`
}

// criterion says what a rule looks at.
type criterion struct {
	IP        string `name:"ip" field:"value,kind" help:"Exactly this client address." placeholder:"ADDRESS" xor:"criterion"`
	Network   string `field:"value,kind" help:"Clients of this network: CIDR, or an IPv4 address with any mask." placeholder:"NETWORK" xor:"criterion"`
	Sender    string `field:"value,kind" help:"This envelope sender." placeholder:"ADDRESS" xor:"criterion"`
	Recipient string `field:"value,kind" help:"This recipient, as the client gives it." placeholder:"ADDRESS" xor:"criterion"`
	Domain    string `field:"value,kind" help:"Senders of this domain; .example.org: of the domains below it (allow rules only)." placeholder:"DOMAIN" xor:"criterion"`
}

// given returns the kind and the value; of several the parser lets one through.
func (c criterion) given() (kind, value string) {
	for _, one := range [][2]string{{"ip", c.IP}, {"network", c.Network}, {"sender", c.Sender}, {"recipient", c.Recipient}, {"domain", c.Domain}} {
		if one[1] != "" {
			return one[0], one[1]
		}
	}
	return "", ""
}

// ruleFlags are what can be said of a rule besides what it looks at.
type ruleFlags struct {
	Discard       *bool   `help:"Block rules: answer as if the mail were accepted, and throw it away." negatable:""`
	Authenticated *bool   `help:"Allow rules by sender or domain: count only when SPF or DKIM proves the domain." negatable:""`
	FromField     *bool   `help:"Rules by sender: look at the From field as well." negatable:""`
	Reason        *string `help:"Why it is there." placeholder:"TEXT"`
	Owner         *string `help:"Who answers for it." placeholder:"NAME"`
	Expires       string  `help:"How long it holds, such as 30d (default: until it is removed)." placeholder:"TIME"`
}

func (f ruleFlags) change() (manage.AccessChange, error) {
	c := manage.AccessChange{Discard: f.Discard, Authenticated: f.Authenticated, FromField: f.FromField, Reason: f.Reason, Owner: f.Owner}
	end, err := until("--expires", f.Expires)
	c.Expires = end
	return c, err
}

// until reads a time to come from a duration; nil for none.
func until(flag, text string) (*time.Time, error) {
	if text == "" {
		return nil, nil
	}
	d, err := setting.ParseDuration(text)
	if err != nil {
		return nil, misuse("%s: %w", flag, err)
	}
	if d <= 0 {
		return nil, misuse("%s: a time to come is needed, such as 30d", flag)
	}
	end := time.Now().Add(d).UTC()
	return &end, nil
}

type listAddCmd struct {
	Name  string `arg:"" optional:"" help:"What the rule is called (default: like its value)."`
	Allow bool   `help:"Put it on the allow list." xor:"list"`
	Block bool   `help:"Put it on the block list." xor:"list"`
	criterion
	ruleFlags
}

// Help implements kong.HelpProvider.
func (c *listAddCmd) Help() string {
	return `For example, a partner whose mail is never refused, a sender who is, and a
network whose mail vanishes for a month:

    posthorn list add partner --allow --ip 192.0.2.7
    posthorn list add --block --sender eve@example.org --reason "letters to staff"
    posthorn list add flooders --block --network 198.51.100.0/24 --discard --expires 30d

An allow rule by ip lifts every check; by network all but the virus scan; rules
by sender, recipient and domain lift some. See what: posthorn list try --help`
}

func (c *listAddCmd) Run(ctx context.Context, w *Where, s *Streams) error {
	if c.Allow == c.Block {
		return misuse("say which list: --allow or --block")
	}
	kind, value := c.given()
	if kind == "" {
		return misuse("say what the rule looks at: --ip, --network, --sender, --recipient or --domain")
	}
	change, err := c.change()
	if err != nil {
		return err
	}
	change.Value = &value
	wish := manage.NewAccessRule{Name: c.Name, List: "allow", Kind: kind, AccessChange: change, Author: author()}
	if c.Block {
		wish.List = "block"
	}
	return show(ctx, w, s, "list-add", manage.AccessAddInput{Body: wish}, func(a manage.AccessSaved) error {
		return savedRule(s, a, "added")
	})
}

// savedRule tells what was saved, and what may surprise about it.
func savedRule(s *Streams, a manage.AccessSaved, done string) error {
	r := a.Rule
	if _, err := fmt.Fprintln(s.Out, s.hint(clean(fmt.Sprintf("Rule %s %s: %s.", r.Name, done, says(r))))); err != nil {
		return err
	}
	return warn(s, a.Warnings)
}

func warn(s *Streams, warnings []string) error {
	for _, text := range warnings {
		if _, err := fmt.Fprintln(s.Out, wrap(s.hint("Note: "+clean(text)), 78, "")); err != nil {
			return err
		}
	}
	return nil
}

// says is a rule in words.
func says(r manage.AccessRule) string {
	text := map[string]string{"allow": "mail is allowed ", "block": "mail is refused "}[r.List]
	if r.Discard {
		text = "mail is answered as accepted, and thrown away, "
	}
	text += map[string]string{"ip": "from the client ", "network": "from clients of ", "sender": "from the sender ", "recipient": "to the recipient ", "domain": "from senders of "}[r.Kind]
	text += r.Value
	if r.Kind == "domain" && strings.HasPrefix(r.Value, ".") {
		text = strings.TrimSuffix(text, r.Value) + "domains below " + r.Value[1:]
	}
	if r.Kind == "recipient" {
		text += " (as the client gives it)"
	}
	if r.FromField {
		text += ", in the envelope or the From field"
	}
	if r.Authenticated {
		text += ", if SPF or DKIM proves the domain"
	}
	switch {
	case r.State == "disabled":
		return "nothing while it is disabled (posthorn list set " + shell.Word(r.Name) + " --no-disabled); otherwise " + text
	case r.State == "expired":
		return "nothing any more, it ended " + when(*r.Expires) + "; before, " + text
	case r.Expires != nil:
		text += ", until " + when(*r.Expires)
	}
	return text
}

type listListCmd struct {
	Match string `arg:"" optional:"" help:"Part of name, value, owner or reason."`
	Allow bool   `help:"Only the allow list." xor:"list"`
	Block bool   `help:"Only the block list." xor:"list"`
	Kind  string `help:"Only rules of this kind: ip, network, sender, recipient or domain." enum:",ip,network,sender,recipient,domain" default:"" placeholder:"KIND"`
}

func (c *listListCmd) Run(ctx context.Context, w *Where, s *Streams) error {
	in := manage.AccessListInput{Kind: c.Kind, Search: c.Match}
	switch {
	case c.Allow:
		in.List = "allow"
	case c.Block:
		in.List = "block"
	}
	page := func(p manage.Paging) any { in.Paging = p; return in }
	return list(ctx, w, s, "list-list", page, func(all []manage.AccessRule) error {
		if len(all) == 0 {
			text := "No rule yet. Add one: posthorn list add NAME --block --sender eve@example.org"
			if c.Match+in.Kind+in.List != "" {
				text = "No rule matches. All of them: posthorn list list"
			}
			_, err := fmt.Fprintln(s.Out, s.hint(text))
			return err
		}
		t := newTable(s.Out, "NAME", "LIST", "KIND", "VALUE", "DOES", "HITS", "LAST HIT", "ENDS", "REASON")
		for _, r := range all {
			t.row(short(r.Name, 32), r.List, r.Kind, short(r.Value, 44), action(r), fmt.Sprint(r.Hits), whenOr(r.LastHit, "-"), ending(r), none(short(r.Reason, 40), "-"))
		}
		return t.end()
	})
}

// action is what a rule does, in a word or two.
func action(r manage.AccessRule) string {
	text := map[string]string{"allow": "allows", "block": "refuses"}[r.List]
	if r.Discard {
		text = "discards"
	}
	if r.Authenticated {
		text += " if authenticated"
	}
	return text
}

// ending is when a rule ends, or that it does not count now.
func ending(r manage.AccessRule) string {
	switch {
	case r.State == "disabled":
		return "DISABLED"
	case r.State == "expired":
		return "EXPIRED " + when(*r.Expires)
	}
	return whenOr(r.Expires, "never")
}

// whenOr writes a time, or the word for none.
func whenOr(t *time.Time, word string) string {
	if t == nil {
		return word
	}
	return when(*t)
}

type listShowCmd struct {
	Name string `arg:"" help:"Name of the rule."`
}

func (c *listShowCmd) Run(ctx context.Context, w *Where, s *Streams) error {
	return show(ctx, w, s, "list-show", manage.AccessInput{Name: c.Name}, func(r manage.AccessRule) error {
		return facts(s.Out, "Rule", r.Name, "Does", s.hint(says(r)), "List", r.List, "Kind", r.Kind, "Value", r.Value, "State", r.State, "Ends", whenOr(r.Expires, "never"),
			"Hits", fmt.Sprint(r.Hits), "Last hit", whenOr(r.LastHit, "never"), "Reason", none(r.Reason, "-"), "Owner", none(r.Owner, "-"),
			"Made by", none(r.Author, "-"), "Since", when(r.Created))
	})
}

type listSetCmd struct {
	Name  string `arg:"" help:"Name of the rule."`
	Value string `help:"What it looks at from now on; its kind stays." placeholder:"VALUE"`
	ruleFlags
	Forever  bool  `help:"It does not end."`
	Disabled *bool `help:"It does not count, until --no-disabled." negatable:""`
}

func (c *listSetCmd) Run(ctx context.Context, w *Where, s *Streams) error {
	change, err := c.change()
	if err != nil {
		return err
	}
	change.Forever, change.Disabled = c.Forever, c.Disabled
	if c.Value != "" {
		change.Value = &c.Value
	}
	in := manage.AccessSetInput{Name: c.Name}
	in.Body.AccessChange = change
	return show(ctx, w, s, "list-set", in, func(a manage.AccessSaved) error { return savedRule(s, a, "changed") })
}

type listRemoveCmd struct {
	Name string `arg:"" help:"Name of the rule."`
}

func (c *listRemoveCmd) Run(ctx context.Context, w *Where, s *Streams) error {
	return does(ctx, w, s, "list-remove", manage.AccessInput{Name: c.Name}, "Rule %s removed.", c.Name)
}

type listTryCmd struct {
	Client string   `help:"Address of the client." placeholder:"IP"`
	From   string   `help:"Envelope sender." placeholder:"ADDRESS"`
	To     []string `help:"Recipient; may be given several times." placeholder:"ADDRESS" aliases:"rcpt"`
}

func (c *listTryCmd) Run(ctx context.Context, w *Where, s *Streams) error {
	q := manage.AccessQuestion{Client: c.Client, From: strings.Trim(c.From, "<>"), To: c.To}
	return show(ctx, w, s, "list-try", manage.AccessTryInput{Body: q}, func(a manage.AccessAnswer) error {
		for _, m := range a.Matches {
			pairs := []string{strings.ToUpper(m.Rule.List[:1]) + m.Rule.List[1:] + " rule", fmt.Sprintf("%s (%s %s)", m.Rule.Name, m.Rule.Kind, m.Rule.Value),
				"  matches", m.By, "  effect", m.Effect}
			if len(m.Lifts) > 0 {
				pairs = append(pairs, "  lifts", strings.Join(m.Lifts, "; "))
			}
			if err := facts(s.Out, pairs...); err != nil {
				return err
			}
		}
		if len(a.Matches) > 0 {
			if _, err := fmt.Fprintln(s.Out); err != nil {
				return err
			}
		}
		_, err := fmt.Fprint(s.Out, s.hint(fmt.Sprintf("%s\nWhat all checks together would do: posthorn policy try --help\n", a.Summary)))
		if err == nil && a.Unread != "" {
			_, err = fmt.Fprintln(s.Out, "Stored rules that are not in force:", clean(a.Unread))
		}
		return err
	})
}

type listExportCmd struct{}

func (c *listExportCmd) Run(ctx context.Context, w *Where, s *Streams) error {
	return show(ctx, w, s, "list-export", manage.None{}, func(f manage.AccessFile) error {
		_, err := io.WriteString(s.Out, f.File)
		return err
	})
}

type listImportCmd struct {
	File    string `arg:"" help:"The file; - is standard input."`
	Replace bool   `help:"The file is the whole truth: remove rules that it does not name."`
	DryRun  bool   `help:"Only say what would be done."`
}

// Help implements kong.HelpProvider.
func (c *listImportCmd) Help() string {
	return `One rule in a line; list export writes such a file:

    # what stands behind a # is yours
    block network 192.0.2.0/24 name=flooders reason="open relay"
    allow sender eve@example.org authenticated expires=2030-01-31T00:00:00Z
    block recipient info@example.org discard

A rule without a name is called like its value. One whose name is there already
is changed. If a line is wrong, nothing is done.`
}

// maxRules bounds a file of rules.
const maxRules = 32 << 20

func (c *listImportCmd) Run(ctx context.Context, w *Where, s *Streams) error {
	var in manage.AccessImportInput
	text, err := c.read(s)
	if err != nil {
		return err
	}
	in.Body.File, in.Body.Replace, in.Body.DryRun, in.Body.Author = text, c.Replace, c.DryRun, author()
	if c.Replace {
		in.Body.Base = manage.AccessFileVersion(text)
	}
	return show(ctx, w, s, "list-import", in, func(o manage.AccessImported) error {
		if err := warn(s, o.Warnings); err != nil {
			return err
		}
		_, err := fmt.Fprintf(s.Out, "%s added, %d changed, %d removed, %d as they were.\n", plural(int64(o.Added), "rule"), o.Changed, o.Removed, o.Unchanged)
		if err == nil && c.DryRun {
			_, err = fmt.Fprintln(s.Out, "Nothing was saved (--dry-run).")
		}
		return err
	})
}

func (c *listImportCmd) read(s *Streams) (string, error) {
	from := s.In
	if c.File != "-" {
		f, err := os.Open(c.File)
		if err != nil {
			return "", err
		}
		defer f.Close()
		from = f
	}
	text, err := io.ReadAll(io.LimitReader(from, maxRules+1))
	if err == nil && len(text) > maxRules {
		err = fmt.Errorf("%s: more than %s", c.File, human(int64(maxRules)))
	}
	return string(text), err
}
