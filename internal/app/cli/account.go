package cli

import (
	"bufio"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"strings"

	"posthorn/internal/base/unit"
	"posthorn/internal/server/manage"
)

type accountCmd struct {
	Add    accountAddCmd    `cmd:"" help:"Add an account."`
	List   accountListCmd   `cmd:"" help:"List accounts."`
	Show   accountShowCmd   `cmd:"" help:"Show one account."`
	Set    accountSetCmd    `cmd:"" help:"Change an account."`
	Remove accountRemoveCmd `cmd:"" help:"Remove an account and all its mail."`
}

// accountFields are what add and set can give.
type accountFields struct {
	PasswordStdin bool       `field:"password" help:"Read the password from the first line of standard input."`
	Name          *string    `field:"full_name" help:"The person's name."`
	Admin         *bool      `negatable:"" help:"May administer the server."`
	Disabled      *bool      `negatable:"" help:"No login, no new mail."`
	Quota         *unit.Size `field:"quota_bytes" help:"Most octets kept, such as 10GB (0: no limit)." placeholder:"SIZE"`
	QuotaMessages *int64     `help:"Most messages kept (0: no limit)." placeholder:"N"`
	Forward       []string   `help:"Addresses its mail goes on to." placeholder:"ADDRESS" xor:"forward"`
	NoForward     bool       `help:"Its mail goes on to nobody any more." xor:"forward"`
	KeepCopy      *bool      `negatable:"" help:"Keep a copy of forwarded mail here (yes unless said otherwise)."`
	Forwarding    *string    `enum:"yes,no,inherit" help:"Whether it may forward mail (inherit: as the domain of its primary address says)." placeholder:"yes|no|inherit"`
}

func (f accountFields) change(s *Streams) (manage.AccountChange, error) {
	c := manage.AccountChange{FullName: f.Name, Admin: f.Admin, Disabled: f.Disabled, QuotaBytes: (*manage.Size)(f.Quota), QuotaMessages: f.QuotaMessages,
		KeepCopy: f.KeepCopy, Forwarding: f.Forwarding}
	switch {
	case f.NoForward:
		c.Forward = &[]string{}
	case f.Forward != nil:
		c.Forward = &f.Forward
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

// firstLine reads a password as scripts pass it.
func firstLine(r io.Reader) (string, error) {
	line, err := bufio.NewReader(io.LimitReader(r, 4096)).ReadString('\n')
	if err != nil && err != io.EOF {
		return "", fmt.Errorf("--password-stdin: %w", err)
	}
	if line = strings.TrimRight(line, "\r\n"); line == "" {
		return "", errors.New("--password-stdin: the first line is empty; pipe the password in")
	}
	return line, nil
}

// newPassword makes one that can be read aloud: 80 bits in groups of four.
func newPassword() string {
	text := strings.ToLower(rand.Text())
	return text[0:4] + "-" + text[4:8] + "-" + text[8:12] + "-" + text[12:16]
}

type accountAddCmd struct {
	Address []string `arg:"" field:"addresses" help:"Primary address, then further ones."`
	accountFields
}

// addedAccount is a new account in JSON. A password made up here is known to
// nobody else.
type addedAccount struct {
	manage.Account
	Password string `json:"password,omitempty"`
}

func (c *accountAddCmd) Run(ctx context.Context, w *Where, s *Streams) error {
	change, err := c.change(s)
	if err != nil {
		return err
	}
	change.Addresses = c.Address
	made := ""
	if change.Password == nil {
		made = newPassword()
		change.Password = &made
	}
	a, err := ask[manage.Account](ctx, w, s, "account-add", manage.AccountAddInput{Body: change})
	switch {
	case err != nil:
		return err
	case w.JSON:
		return printJSON(s.Out, addedAccount{a, made})
	case made != "":
		_, err = fmt.Fprintf(s.Out, "Account %s added with the password %s\n", readable(a.Address), made)
	default:
		_, err = fmt.Fprintf(s.Out, "Account %s added.\n", readable(a.Address))
	}
	return err
}

type accountListCmd struct {
	Domain string `help:"Only accounts of this domain." placeholder:"DOMAIN"`
}

func (c *accountListCmd) Run(ctx context.Context, w *Where, s *Streams) error {
	page := func(p manage.Paging) any { return manage.AccountListInput{Domain: c.Domain, Paging: p} }
	return list(ctx, w, s, "account-list", page, c.table(s))
}

func (c *accountListCmd) table(s *Streams) func([]manage.Account) error {
	return func(all []manage.Account) error {
		if len(all) == 0 {
			_, err := fmt.Fprintln(s.Out, s.hint(noneYet("account", c.Domain, "you@example.org --admin")))
			return err
		}
		t := newTable(s.Out, "ADDRESS", "NAME", "USED", "QUOTA", "MESSAGES", "ROLE", "STATE", "FURTHER ADDRESSES")
		for _, a := range all {
			t.row(readable(a.Address), none(a.FullName, "-"), human(a.UsedBytes), limit(a.QuotaBytes), fmt.Sprint(a.UsedMessages), role(a.Admin), onOff(a.Disabled), none(strings.ReplaceAll(readables(a.Addresses[1:]), ",", ""), "-"))
		}
		return t.end()
	}
}

func role(admin bool) string {
	if admin {
		return "administrator"
	}
	return "user"
}

func limit(s manage.Octets) string {
	if s == 0 {
		return "none"
	}
	return human(s)
}

// human writes a size to three digits.
func human[S ~int64](s S) string { return unit.Size(s).Words() }

type accountShowCmd struct {
	Address string `arg:"" help:"Any address of the account."`
}

func (c *accountShowCmd) Run(ctx context.Context, w *Where, s *Streams) error {
	return show(ctx, w, s, "account-show", manage.AccountInput{Address: c.Address}, func(a manage.Account) error {
		messages := "none"
		if a.QuotaMessages > 0 {
			messages = fmt.Sprint(a.QuotaMessages)
		}
		return facts(s.Out, "Account", readable(a.Address), "Name", none(a.FullName, "-"), "Addresses", readables(a.Addresses),
			"Role", role(a.Admin), "State", onOff(a.Disabled), "Used", human(a.UsedBytes)+" in "+plural(a.UsedMessages, "message"),
			"Quota", limit(a.QuotaBytes), "Message quota", messages,
			"Forwards to", forwardsTo(a), "May forward", inherited(a.Forwarding, "as the domain says"), "Since", when(a.Created))
	})
}

// forwardsTo says where the mail goes on to, and whether it does (M-GEN-05).
func forwardsTo(a manage.Account) string {
	to := readables(a.Forward)
	switch {
	case to == "":
		return "nobody"
	case !a.MayForward:
		return to + " (disabled by the administrator: mail stays in the mailbox)"
	case a.KeepCopy:
		return to + " (a copy stays here)"
	}
	return to + " (no copy stays here)"
}

type accountSetCmd struct {
	Address   string   `arg:"" help:"Any address of the account."`
	Addresses []string `help:"All addresses from now on, the primary one first." placeholder:"ADDRESS"`
	accountFields
}

func (c *accountSetCmd) Run(ctx context.Context, w *Where, s *Streams) error {
	change, err := c.change(s)
	if err != nil {
		return err
	}
	change.Addresses = c.Addresses
	return does(ctx, w, s, "account-set", manage.AccountSetInput{Address: c.Address, Body: change}, "Account %s changed.", c.Address)
}

type accountRemoveCmd struct {
	Address string `arg:"" help:"Any address of the account."`
	Yes     bool   `help:"Needed: nothing is asked, and what is removed does not come back."`
}

func (c *accountRemoveCmd) Run(ctx context.Context, w *Where, s *Streams) error {
	if !c.Yes {
		return fmt.Errorf("this removes %s and all its mail for good; repeat the command with --yes", c.Address)
	}
	return removes(ctx, w, s, "account-remove", manage.AccountInput{Address: c.Address}, "Account %s and its mail removed.", c.Address)
}
