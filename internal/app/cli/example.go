package cli

// Help shows kong what to print under the help of commands whose arguments are
// easier seen than described.

// Help implements kong.HelpProvider.
func (c *accountAddCmd) Help() string {
	return `Without --password-stdin a password is made up and printed. For example:

    posthorn account add ann@example.org --name 'Ann Example' --quota 10GB
    echo 'correct horse' | posthorn account add bob@example.org bob@example.net --password-stdin`
}

// Help implements kong.HelpProvider.
func (c *accountSetCmd) Help() string {
	return `What is not given stays as it is. For example:

    posthorn account set ann@example.org --quota 20GB --no-disabled
    echo 'another one' | posthorn account set ann@example.org --password-stdin`
}

// Help implements kong.HelpProvider.
func (c *aliasAddCmd) Help() string {
	return `For example:

    posthorn alias add info@example.org ann@example.org bob@example.net`
}

// Help implements kong.HelpProvider.
func (c *groupAddCmd) Help() string {
	return `For example:

    posthorn group add team@example.org ann@example.org bob@example.org --title 'The team' --send-as`
}

// Help implements kong.HelpProvider.
func (c *settingSetCmd) Help() string {
	return `For example:

    posthorn setting set policy.size.inbound=30MB --comment 'slides'
    posthorn setting set policy.size.inbound=
    posthorn setting set smtp.idle_timeout=2m --trial 10m
    posthorn setting set relay.user=me relay.password --stdin < password.txt`
}

// Help implements kong.HelpProvider.
func (c *settingApplyCmd) Help() string {
	return `For example:

    posthorn setting export > settings.toml
    posthorn setting apply settings.toml --dry-run
    posthorn setting apply --profile recommended`
}

// Help implements kong.HelpProvider.
func (c *policyTryCmd) Help() string {
	return `Nothing is sent or changed. For example, a stranger's mail, and one of a user:

    posthorn policy try --client 192.0.2.1 --from a@else.example --rcpt ann@example.org
    posthorn policy try --client 192.0.2.1 --listener submissions --login ann@example.org \
        --from ann@example.org --rcpt b@else.example`
}

// Help implements kong.HelpProvider.
func (c *traceCmd) Help() string {
	return `For example:

    posthorn trace --to ann@example.org --since 24h
    posthorn trace --from else.example --outcome refused,deferred
    posthorn trace 06h03kepr5r010dszzyh39pvqw`
}
