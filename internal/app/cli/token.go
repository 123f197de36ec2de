package cli

import (
	"context"
	"fmt"
	"strings"

	"posthorn/internal/server/manage"
)

type tokenCmd struct {
	Add    tokenAddCmd    `cmd:"" help:"Make a token for a program and print its secret, once."`
	List   tokenListCmd   `cmd:"" help:"List the tokens, without their secrets."`
	Show   tokenShowCmd   `cmd:"" help:"Show one token, without its secret."`
	Remove tokenRemoveCmd `cmd:"" help:"Revoke a token at once."`
}

type tokenAddCmd struct {
	Name    string   `arg:"" help:"What the token is for, such as backup-script."`
	Role    string   `help:"What it may do: reader, operator or administrator." enum:"reader,operator,administrator" default:"reader" placeholder:"ROLE"`
	Expires string   `help:"How long it works, such as 90d (default: until it is removed)." placeholder:"TIME"`
	Network []string `field:"networks" help:"Where it may be used from; may be given several times (default: everywhere)." placeholder:"NETWORK"`
}

// Help implements kong.HelpProvider.
func (c *tokenAddCmd) Help() string {
	return `For example, a token for a program that watches the queue from one machine:

    posthorn token add watcher --role reader --expires 365d --network 192.0.2.7
    curl -H 'Authorization: Bearer ph_...' http://127.0.0.1:8025/api/v1/queue`
}

func (c *tokenAddCmd) Run(ctx context.Context, w *Where, s *Streams) error {
	wish := manage.TokenWish{Name: c.Name, Role: c.Role, Networks: c.Network, Author: author()}
	if c.Expires != "" {
		end, err := until("--expires", c.Expires)
		if err != nil {
			return err
		}
		wish.Expires = end
	}
	return show(ctx, w, s, "token-add", manage.TokenAddInput{Body: wish}, func(k manage.NewToken) error {
		_, err := fmt.Fprintf(s.Out, "Token %s (%s) made. Its secret, shown this once:\n\n%s\n\nUse it as: Authorization: Bearer SECRET\n", k.Name, k.Role, k.Secret)
		return err
	})
}

type tokenListCmd struct{}

func (c *tokenListCmd) Run(ctx context.Context, w *Where, s *Streams) error {
	page := func(p manage.Paging) any { return manage.TokenListInput{Paging: p} }
	return list(ctx, w, s, "token-list", page, func(all []manage.Token) error {
		if len(all) == 0 {
			_, err := fmt.Fprintln(s.Out, s.hint("No token yet. Make one: posthorn token add NAME --role reader"))
			return err
		}
		t := newTable(s.Out, "NAME", "ROLE", "FROM", "EXPIRES", "LAST USED", "MADE BY", "SINCE")
		for _, k := range all {
			t.row(k.Name, string(k.Role), none(strings.Join(k.Networks, " "), "everywhere"), ends(k), used(k), none(k.Author, "-"), when(k.Created))
		}
		return t.end()
	})
}

func ends(k manage.Token) string {
	switch {
	case k.Expires == nil:
		return "never"
	case k.Expired:
		return "EXPIRED " + when(*k.Expires)
	}
	return when(*k.Expires)
}

func used(k manage.Token) string {
	if k.Used == nil {
		return "never"
	}
	return when(*k.Used)
}

type tokenShowCmd struct {
	Name string `arg:"" help:"Name of the token."`
}

func (c *tokenShowCmd) Run(ctx context.Context, w *Where, s *Streams) error {
	return show(ctx, w, s, "token-show", manage.TokenInput{Name: c.Name}, func(k manage.Token) error {
		return facts(s.Out, "Token", k.Name, "Role", string(k.Role), "From", none(strings.Join(k.Networks, " "), "everywhere"),
			"Expires", ends(k), "Last used", used(k), "Made by", none(k.Author, "-"), "Since", when(k.Created))
	})
}

type tokenRemoveCmd struct {
	Name string `arg:"" help:"Name of the token."`
}

func (c *tokenRemoveCmd) Run(ctx context.Context, w *Where, s *Streams) error {
	return does(ctx, w, s, "token-remove", manage.TokenInput{Name: c.Name}, "Token %s revoked: it works no more.", c.Name)
}
