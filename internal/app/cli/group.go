package cli

import (
	"context"

	"posthorn/internal/server/manage"
)

type groupCmd struct {
	Add    groupAddCmd    `cmd:"" help:"Make a group address with members."`
	List   groupListCmd   `cmd:"" help:"List the groups."`
	Show   groupShowCmd   `cmd:"" help:"Show one group."`
	Set    groupSetCmd    `cmd:"" help:"Change a group or its members."`
	Remove groupRemoveCmd `cmd:"" help:"Remove a group; its members stay."`
}

type groupAddCmd struct {
	Address string   `arg:"" help:"Address of the group."`
	Members []string `arg:"" optional:"" name:"member" field:"targets" help:"Addresses of the members."`
	Title   string   `help:"What the group is for."`
	SendAs  bool     `negatable:"" help:"Members may send as the group."`
}

func (c *groupAddCmd) Run(ctx context.Context, w *Where, s *Streams) error {
	body := manage.NewAlias{Address: c.Address, Targets: c.Members, Title: c.Title, SendAs: c.SendAs}
	return saves(ctx, w, s, "group-add", manage.AliasAddInput{Body: body}, "Group %s added with %s.", c.Address, plural(int64(len(c.Members)), "member"))
}

type groupListCmd struct {
	Domain string `help:"Only this domain." placeholder:"DOMAIN"`
}

func (c *groupListCmd) Run(ctx context.Context, w *Where, s *Streams) error {
	return listAliases(ctx, w, s, "group", c.Domain)
}

type groupShowCmd struct {
	Address string `arg:"" help:"Address of the group."`
}

func (c *groupShowCmd) Run(ctx context.Context, w *Where, s *Streams) error {
	return showAlias(ctx, w, s, "group", c.Address)
}

type groupSetCmd struct {
	Address string   `arg:"" help:"Address of the group."`
	Add     []string `field:"targets" help:"Members to add." placeholder:"ADDRESS"`
	Drop    []string `help:"Members to take away." placeholder:"ADDRESS"`
	Title   *string  `help:"What the group is for."`
	SendAs  *bool    `negatable:"" help:"Members may send as the group."`
}

func (c *groupSetCmd) Run(ctx context.Context, w *Where, s *Streams) error {
	body := manage.AliasChange{Add: c.Add, Drop: c.Drop, Title: c.Title, SendAs: c.SendAs}
	return saves(ctx, w, s, "group-set", manage.AliasSetInput{Address: c.Address, Body: body}, "Group %s changed.", c.Address)
}

type groupRemoveCmd struct {
	Address string `arg:"" help:"Address of the group."`
}

func (c *groupRemoveCmd) Run(ctx context.Context, w *Where, s *Streams) error {
	return removes(ctx, w, s, "group-remove", manage.AliasInput{Address: c.Address}, "Group %s removed.", c.Address)
}
