package check

import (
	"slices"
	"strings"

	"posthorn/internal/policy"
)

// Table lists every check, stage by stage in the order they are asked: these
// are the house rules. The settings must not change while it is used.
func Table(s *Settings) []policy.Entry {
	const (
		anybody  = policy.Exemption(0)
		classes  = policy.FromTrustedClass
		policies = policy.ToPostmaster | policy.FromTrustedClass
		local    = policy.FromLoopback
	)
	all := []policy.Entry{
		{
			Stage: policy.Connect, Name: "class-reject", Setting: "policy.classes.subnets", Worst: policy.Reject, Exempt: anybody, AtOnce: true, Fixed: true,
			IDs: []string{"B1G-CLS-04", "B1G-NET-01", "B1G-NET-02"}, Check: policy.CheckFunc(rejected), Replies: []string{"554 5.7.1"},
			Doc: "Clients of a network that is in class reject are sent away at the door: nothing they say is done, and they cannot log in.",
		},
		{
			Stage: policy.Connect, Name: "banned-by-hand", Setting: "posthorn ban", Worst: policy.Reject, Exempt: policy.FromLoopback, AtOnce: true, Fixed: true,
			IDs: []string{"B1G-BAN-03"}, Check: policy.CheckFunc(bannedByHand), Replies: []string{"554 5.7.1"},
			Doc: "Hosts that an administrator banned are sent away at the door.",
		},
		{
			Stage: policy.Connect, Name: "banned", Setting: "posthorn ban", Worst: policy.Reject, Exempt: local | policy.FromTrusted, AtOnce: true, Fixed: true, Test: policy.TestClient,
			IDs: []string{"B1G-BAN-01", "B1G-BAN-02", "M-SEC-ADV-04", "B1G-CLS-06"}, Check: policy.CheckFunc(banned), Replies: []string{"554 5.7.1"},
			Doc: "Hosts that failed too often, or tried too many addresses that do not exist, are sent away at the door until their time is over.",
		},
		{
			Stage: policy.Connect, Name: "connection-rate", Setting: "policy.rate.connections", Worst: policy.Drop, Exempt: local | classes, AtOnce: true, Mode: s.Rate.Mode, Test: policy.TestClient, Costly: true,
			IDs: []string{"M-SEC-CON-04", "M-SEC-CON-03"}, Check: policy.CheckFunc(s.Rate.atConnect), Replies: []string{"421 4.7.0"},
			Doc: "A host that connects too often in a minute, or has sent too many messages in it, is refused until the minute is over.",
		},
		{
			Stage: policy.Greeting, Name: "listed-reject", Setting: "policy.classes.lists", Worst: policy.Reject, Exempt: anybody, AtOnce: true, Fixed: true, Test: policy.TestClient,
			IDs: []string{"B1G-BL-01", "B1G-BL-02", "B1G-BL-03"}, Check: policy.CheckFunc(rejected), Replies: []string{"554 5.7.1"},
			Doc: "Clients that a DNS list puts into class reject are sent away at the door.",
		},
		{
			Stage: policy.Greeting, Name: "greeting", Setting: "policy.door.greeting_delay", Worst: policy.Drop, Exempt: policy.FromTrusted, AtOnce: true, Mode: s.Door.Mode, Test: policy.TestClient,
			IDs: []string{"B1G-LIM-01"}, Check: policy.CheckFunc(s.Door.greeting), Replies: []string{"554 5.5.1"},
			Doc: "Clients from outside wait for the greeting; whoever speaks before it is disconnected.",
		},
		{
			Stage: policy.Mail, Name: "reverse-name", Setting: "policy.names.reverse", Worst: policy.Pass, Exempt: policy.FromLogin, Fixed: true,
			IDs: []string{"B1G-GEN-05"}, Check: policy.CheckFunc(s.Names.reverse), Replies: []string{"none"},
			Doc: "The client's name is looked up in DNS, for the record, the Received field and other checks; this refuses nobody.",
		},
		{
			Stage: policy.Mail, Name: "dial-up", Setting: "policy.classes.subnets", Worst: policy.Reject, Exempt: policy.FromLogin, AtOnce: true, Fixed: true,
			IDs: []string{"B1G-CLS-03"}, Check: policy.CheckFunc(s.Auth.dialUp), Replies: []string{"530 5.7.0", "554 5.7.1"},
			Doc: "Clients in class dial-up send no mail, to here or elsewhere, before they have logged in.",
		},
		{
			Stage: policy.Mail, Name: "helo-match", Setting: "policy.names.helo_match", Worst: policy.Reject, Exempt: classes | policy.FromTrusted | policy.FromLogin, AtOnce: true, Fixed: true, Test: policy.TestClient,
			IDs: []string{"B1G-GEN-06", "B1G-GEN-05"}, Check: policy.CheckFunc(s.Names.heloMatch), Replies: []string{"550 5.7.1", "451 4.4.3"},
			Doc: "The name a client gives itself must fit its name in DNS, if that is demanded.",
		},
		{
			Stage: policy.Mail, Name: "message-rate", Setting: "policy.rate.messages", Worst: policy.Defer, Exempt: local | classes, AtOnce: true, Mode: s.Rate.Mode, Test: policy.TestClient, Costly: true,
			IDs: []string{"M-SEC-CON-03"}, Check: policy.CheckFunc(s.Rate.atMail), Replies: []string{"450 4.7.1"},
			Doc: "A host that has sent too many messages in a minute is put off until it is over.",
		},
		{
			Stage: policy.Mail, Name: "login-required", Setting: "policy.auth.everywhere", Worst: policy.Reject, Exempt: classes, AtOnce: true, Fixed: true,
			IDs: []string{"M-GEN-01", "M-GEN-02"}, Check: &s.Auth, Replies: []string{"530 5.7.0"},
			Doc: "On the submission ports nobody sends without a login, except clients of the local networks while that is allowed. A setting demands the login on port 25 too.",
		},
		{
			Stage: policy.Mail, Name: "size-declared", Setting: "policy.size.inbound", Worst: policy.Reject, Exempt: anybody, AtOnce: true, Fixed: true,
			IDs: []string{"M-GEN-11", "B1G-GEN-03"}, Check: policy.CheckFunc(s.Size.atMail), Replies: []string{"552 5.3.4"},
			Doc: "A message that declares more octets than the limit of its direction is refused before it is sent.",
		},
		{
			Stage: policy.Mail, Name: "disk-room", Setting: "policy.room.reserve", Worst: policy.Defer, Exempt: anybody, AtOnce: true, Fixed: true,
			IDs: []string{"hostile-37"}, Check: &s.Room, Replies: []string{"452 4.3.1", "451 4.3.0"},
			Doc: "While the disk is nearly full, or the store has turned read-only after a failed write, mail is refused for now.",
		},
		{
			Stage: policy.Mail, Name: "sender-full", Setting: "policy.origin.full", Worst: policy.Reject, Exempt: policies, Mode: s.Origin.Full, Test: policy.TestClient,
			IDs: []string{"M-SEC-SP-01"}, Check: s.Origin.full(&s.Names), Replies: []string{"504 5.5.2"},
			Doc: "A sender must have a full domain. The null sender and postmaster need none.",
		},
		{
			Stage: policy.Mail, Name: "sender-owned", Setting: "policy.sender.owned", Worst: policy.Reject, Exempt: classes, AtOnce: true, Mode: s.Sender.Mode,
			IDs: []string{"M-GEN-03", "M-GEN-04", "SYS-DOM-02"}, Check: policy.CheckFunc(s.Sender.owned), Replies: []string{"553 5.7.1"},
			Doc: "Whoever has logged in may use only sender addresses of the account.",
		},
		{
			Stage: policy.Mail, Name: "own-address", Setting: "policy.sender.own_outside", Worst: policy.Reject, Exempt: policies, Mode: s.Sender.Mode,
			IDs: []string{"M-GEN-03", "M-GEN-04", "ORD-02"}, Check: policy.CheckFunc(s.Sender.unauthenticated), Replies: []string{"553 5.7.1"},
			Doc: "An address of an account here is refused as sender to clients that have not logged in; three switches say to which.",
		},
		{
			Stage: policy.Mail, Name: "milter-mail", Setting: "policy.milters.servers", Worst: policy.Drop, Exempt: classes | policy.OfRefused, Mode: s.Milters.Mode,
			IDs: []string{"reliability-31"}, Check: policy.CheckFunc(s.Milters.check), Replies: []string{"451 4.7.1", "550 5.7.1", "what a milter says"},
			Doc: "Milters are told of client, greeting and sender, and may refuse them.",
		},
		{
			Stage: policy.Rcpt, Name: "relaying", Setting: "policy.trust.clients", Worst: policy.Reject, Exempt: anybody, Fixed: true,
			IDs: []string{"M-GEN-01", "M-GEN-02", "M-REL-01"}, Check: policy.CheckFunc(relaying), Replies: []string{"550 5.7.1", "554 5.7.1"},
			Doc: "Mail to domains that are not ours is taken only from users who have logged in and from trusted clients.",
		},
		{
			Stage: policy.Rcpt, Name: "recipient-exists", Setting: "the directory of accounts and addresses", Worst: policy.Reject, Exempt: policy.ToPostmaster, Fixed: true,
			IDs: []string{"ORD-03"}, Check: policy.CheckFunc(recipientExists), Replies: []string{"550 5.1.1", "550 5.2.1"},
			Doc: "Addresses of our domains that lead nowhere, and those of accounts and domains that are switched off, are refused in the dialogue, never by a later bounce.",
		},
		{
			Stage: policy.Rcpt, Name: "blocked-client", Setting: "posthorn list", Worst: policy.Reject, Exempt: classes, Fixed: true, Test: policy.TestBlock,
			IDs: []string{"M-SEC-BW-01", "M-SEC-BW-02", "M-SEC-BW-03", "M-SEC-BW-07", "M-SEC-BW-08", "M-SEC-BW-11"}, Check: policy.CheckFunc(blockedClient), Replies: []string{"554 5.7.1"},
			Doc: "A block rule by address or network refuses mail of the client, or throws it away.",
		},
		{
			Stage: policy.Rcpt, Name: "blocked-sender", Setting: "posthorn list", Worst: policy.Reject, Exempt: policies, Fixed: true, Test: policy.TestBlock,
			IDs: []string{"M-SEC-BW-04", "M-SEC-BW-07", "M-SEC-BW-08"}, Check: policy.CheckFunc(blockedSender), Replies: []string{"550 5.7.1"},
			Doc: "A block rule by sender refuses its mail, or throws it away.",
		},
		{
			Stage: policy.Rcpt, Name: "blocked-recipient", Setting: "posthorn list", Worst: policy.Reject, Exempt: policies, Fixed: true, Test: policy.TestBlock,
			IDs: []string{"M-SEC-BW-05", "M-SEC-BW-07", "M-SEC-BW-08"}, Check: policy.CheckFunc(blockedRecipient), Replies: []string{"550 5.7.1"},
			Doc: "A block rule by recipient refuses mail to it, or throws it away; other recipients get theirs.",
		},
		{
			Stage: policy.Rcpt, Name: "sender-known", Setting: "policy.origin.known", Worst: policy.Reject, Exempt: policies, Mode: s.Origin.Known, Test: policy.TestClient,
			IDs: []string{"M-SEC-SP-02"}, Check: policy.CheckFunc(s.Origin.known), Replies: []string{"550 5.1.8", "550 5.7.27", "451 4.4.3"},
			Doc: "The domain of a sender must be able to get mail, or no answer and no bounce could ever reach it.",
		},
		{
			Stage: s.Names.stage(policy.Greeting), Name: "client-name", Setting: "policy.names.client", Worst: policy.Reject, Exempt: policies | policy.FromTrusted | policy.FromLogin, AtOnce: s.Names.early(), Mode: s.Names.Client, Test: policy.TestClient,
			IDs: []string{"M-SEC-CON-01", "M-SEC-CON-05"}, Check: policy.CheckFunc(s.Names.client), Replies: []string{"550 5.7.25", "450 4.7.25"},
			Doc: "The address of a client must lead to a name in DNS, and the name back to the address.",
		},
		{
			Stage: s.Names.stage(policy.Helo), Name: "helo-full", Setting: "policy.names.helo_full", Worst: policy.Reject, Exempt: policies, AtOnce: s.Names.early(), Mode: s.Names.HeloFull, Test: policy.TestClient,
			IDs: []string{"M-SEC-ADV-02", "M-SEC-CON-05"}, Check: policy.CheckFunc(s.Names.heloFull), Replies: []string{"504 5.5.2"},
			Doc: "The name a client gives itself must be a full one with a domain, or an address in brackets.",
		},
		{
			Stage: s.Names.stage(policy.Helo), Name: "helo-known", Setting: "policy.names.helo_known", Worst: policy.Reject, Exempt: policies, AtOnce: s.Names.early(), Mode: s.Names.HeloKnown, Test: policy.TestClient,
			IDs: []string{"M-SEC-ADV-03", "M-SEC-CON-05"}, Check: policy.CheckFunc(s.Names.heloKnown), Replies: []string{"550 5.7.1", "451 4.4.3"},
			Doc: "DNS must know the name a client gives itself.",
		},
		{
			Stage: s.Names.stage(policy.Helo), Name: "pipelining", Setting: "policy.names.pipelining", Worst: policy.Drop, Exempt: policies, Mode: s.Names.Pipelining, AtOnce: s.Names.early(), Test: policy.TestClient,
			IDs: []string{"M-SEC-ADV-01", "M-SEC-CON-05"}, Check: policy.CheckFunc(s.Names.pipelining), Replies: []string{"503 5.5.0"},
			Doc: "Clients must wait for replies where the standard of pipelining demands it; senders of spam often do not.",
		},
		{
			Stage: policy.Rcpt, Name: "blocklists", Setting: "policy.blocklists.lists", Worst: policy.Reject, Exempt: policies | policy.FromTrusted | policy.FromLogin, Mode: s.Blocklists.Mode, Test: policy.TestDNSBL,
			IDs: []string{"M-SEC-BW-16", "B1G-BL-03"}, Check: policy.CheckFunc(s.Blocklists.check), Replies: []string{"554 5.7.1"},
			Doc: "Mail of clients that DNS lists name is refused, as soon as the weights of these lists reach the threshold.",
		},
		{
			Stage: policy.Rcpt, Name: "spf", Setting: "policy.spf.refuse_fail", Worst: policy.Reject, Exempt: policies | policy.FromTrusted | policy.FromLogin, Mode: s.SPF.Mode, Test: policy.TestSPF,
			IDs: []string{"B1G-SPF-01", "B1G-SPF-02", "B1G-SPF-03", "B1G-SPF-04"}, Check: policy.CheckFunc(s.SPF.check), Replies: []string{"550 5.7.23", "451 4.7.24"},
			Doc: "Mail of which the sender's domain says that it does not come from its servers is refused, in the domain's own words.",
		},
		{
			Stage: policy.Rcpt, Name: "quota", Setting: "policy.quota.permanent", Worst: policy.Reject, Exempt: anybody, Mode: s.Quota.Mode,
			IDs: []string{"ORD-03"}, Check: &s.Quota, Replies: []string{"452 4.2.2", "552 5.2.2"},
			Doc: "A mailbox that is full takes no more mail, for now or for good as the setting says.",
		},
		{
			Stage: policy.Rcpt, Name: "greylist", Setting: "policy.greylist.scope", Worst: policy.Defer, Exempt: policies | policy.FromTrusted | policy.FromLogin, Mode: s.Greylist.Mode, Test: policy.TestGreylist, Costly: true,
			IDs: []string{"B1G-GREY-01", "B1G-GREY-02", "B1G-GREY-03", "B1G-GREY-04", "B1G-GREY-06", "B1G-GREY-07", "B1G-CLS-05"}, Check: s.Greylist.check(&s.Names, &s.Blocklists, &s.SPF), Replies: []string{"451 4.7.1"},
			Doc: "An unknown client is asked to try again later, once; a mail server does that by itself.",
		},
		{
			Stage: policy.Rcpt, Name: "recipient-limit", Setting: "policy.recipients.inbound", Worst: policy.Reject, Exempt: classes, Mode: s.Recipients.Mode,
			IDs: []string{"M-GEN-09"}, Check: policy.CheckFunc(s.Recipients.atRcpt), Replies: []string{"452 4.5.3", "550 5.5.3"},
			Doc: "A message has at most so many accepted recipients. Senders outside are asked to bring the others in another message; for users the whole message is refused.",
		},
		{
			Stage: policy.Rcpt, Name: "milter-rcpt", Setting: "policy.milters.servers", Worst: policy.Drop, Exempt: policies | policy.OfRefused, Mode: s.Milters.Mode,
			IDs: []string{"reliability-31"}, Check: policy.CheckFunc(s.Milters.check), Replies: []string{"451 4.7.1", "550 5.7.1", "what a milter says"},
			Doc: "Milters are told of each recipient that would be accepted, and may refuse it.",
		},
		{
			Stage: policy.Data, Name: "recipient-limit-data", Setting: "policy.recipients.inbound", Worst: policy.Reject, Exempt: classes, Mode: s.Recipients.Mode,
			IDs: []string{"M-GEN-09"}, Check: policy.CheckFunc(s.Recipients.atData), Replies: []string{"554 5.5.3"},
			Doc: "A message of a user that lost recipients to the limit is refused whole, so that its author sees one clear failure.",
		},
		{
			Stage: policy.Data, Name: "pipelining-data", Setting: "policy.names.pipelining", Worst: policy.Drop, Exempt: policies, Mode: s.Names.Pipelining, Test: policy.TestClient,
			IDs: []string{"M-SEC-ADV-01"}, Check: policy.CheckFunc(s.Names.pipelining), Replies: []string{"503 5.5.0"},
			Doc: "The content must wait for the reply to DATA.",
		},
		{
			Stage: policy.Data, Name: "milter-data", Setting: "policy.milters.servers", Worst: policy.Drop, Exempt: policies | policy.OfRefused, Mode: s.Milters.Mode,
			IDs: []string{"reliability-31"}, Check: policy.CheckFunc(s.Milters.check), Replies: []string{"451 4.7.1", "550 5.7.1", "what a milter says"},
			Doc: "Milters hear that the content comes next, and may refuse it unseen.",
		},
		{
			Stage: policy.Content, Name: "size", Setting: "policy.size.inbound", Worst: policy.Reject, Exempt: anybody, Fixed: true,
			IDs: []string{"M-GEN-11", "B1G-GEN-03"}, Check: policy.CheckFunc(s.Size.atContent), Replies: []string{"552 5.3.4"},
			Doc: "A message of more octets than the limit of its direction is refused after it was read.",
		},
		{
			Stage: policy.Content, Name: "hops", Setting: "policy.hops.inbound", Worst: policy.Reject, Exempt: anybody, Fixed: true,
			IDs: []string{"M-GEN-10"}, Check: &s.Hops, Replies: []string{"554 5.4.6"},
			Doc: "A message that has passed too many servers goes round in a loop and is refused; so is one that comes back to an address from which all mail is sent on. A mailbox keeps what comes back, and does not send it on again.",
		},
		{
			Stage: policy.Content, Name: "author-owned", Setting: "policy.sender.owned", Worst: policy.Reject, Exempt: classes, Mode: s.Sender.Mode,
			IDs: []string{"M-GEN-03", "M-GEN-04"}, Check: policy.CheckFunc(s.Sender.author), Replies: []string{"554 5.7.1"},
			Doc: "Whoever has logged in may name only addresses of the account in the From field.",
		},
		{
			Stage: policy.Content, Name: "auto-forwarded", Setting: "policy.forwarded.mode", Worst: policy.Reject, Exempt: classes, Mode: s.Forwarded.Mode,
			IDs: []string{"M-GEN-05"}, Check: policy.CheckFunc(s.Forwarded.check), Replies: []string{"550 5.7.1"},
			Doc: "Mail that a user's own program forwards by itself is refused, if that is wanted.",
		},
		{
			Stage: policy.Content, Name: "blocked-author", Setting: "posthorn list", Worst: policy.Reject, Exempt: policies, Fixed: true, Test: policy.TestBlock,
			IDs: []string{"M-SEC-BW-04", "M-SEC-BW-08"}, Check: policy.CheckFunc(blockedAuthor), Replies: []string{"550 5.7.1"},
			Doc: "A block rule by sender that asks for it looks at the From field too.",
		},
		{
			Stage: policy.Content, Name: "authentication", Setting: "policy.authentic.verify", Worst: policy.Pass, Exempt: classes, Fixed: true,
			IDs: []string{"B1G-SPF-02"}, Check: s.Authentic.results(&s.SPF), Replies: []string{"none"},
			Doc: "What SPF, DKIM, ARC and DMARC say of the message's origin is written into its header; this refuses nobody.",
		},
		{
			Stage: policy.Content, Name: "dkim", Setting: "policy.authentic.refuse_broken", Worst: policy.Reject, Exempt: policies | policy.FromTrusted | policy.FromLogin, Mode: s.Authentic.Mode, Test: policy.TestDKIM,
			IDs: []string{"M-SEC-BW-13"}, Check: policy.CheckFunc(s.Authentic.signatures), Replies: []string{"550 5.7.20"},
			Doc: "Mail whose every signature is broken is refused, if that is wanted.",
		},
		{
			Stage: policy.Content, Name: "dmarc", Setting: "policy.authentic.reject", Worst: policy.Reject, Exempt: policies | policy.FromTrusted | policy.FromLogin, Mode: s.Authentic.Mode, Test: policy.TestDMARC,
			IDs: []string{"M-SEC-BW-14"}, Check: policy.CheckFunc(s.Authentic.dmarc), Replies: []string{"550 5.7.26"},
			Doc: "Mail that nothing authenticates as that of its author's domain is treated as the domain asks in DNS.",
		},
		{
			Stage: policy.Content, Name: "attachments", Setting: "policy.attachments.found", Worst: policy.Reject, Exempt: classes, Mode: s.Attachments.Mode, Test: policy.TestVirus, Costly: true,
			IDs: []string{"reliability-26"}, Check: policy.CheckFunc(s.Attachments.check), Replies: []string{"554 5.7.1", "451 4.3.0"},
			Doc: "Files in messages are judged by name, type and what they hold, archives within bounds.",
		},
		{
			Stage: policy.Content, Name: "virus", Setting: "policy.virus.found", Worst: policy.Reject, Exempt: classes, Mode: s.Virus.Mode, Test: policy.TestVirus, Costly: true,
			IDs: []string{"M-SEC-BW-15"}, Check: policy.CheckFunc(s.Virus.check), Replies: []string{"554 5.7.1", "451 4.7.1", "552 5.3.4"},
			Doc: "ClamAV looks for viruses, in mail of users too.",
		},
		{
			Stage: policy.Content, Name: "spam", Setting: "policy.spam.refuse_from", Worst: policy.Reject, Exempt: policies, Mode: s.Spam.Mode, Test: policy.TestSpam, Costly: true,
			IDs: []string{"M-SEC-BW-10"}, Check: s.Spam.check(s), Replies: []string{"554 5.7.1", "451 4.7.1", "451 4.3.0"},
			Doc: "rspamd says how much a message looks like spam: it is refused, filed in Junk or marked.",
		},
		{
			Stage: policy.Content, Name: "junk-filter", Setting: "policy.junk.from", Worst: policy.Pass, Exempt: classes | policy.FromTrusted | policy.FromLogin, Mode: s.Junk.Mode, Test: policy.TestSpam,
			IDs: []string{"M-SEC-BW-10"}, Check: policy.CheckFunc(s.Junk.check), Replies: []string{"none"},
			Doc: "Mail that looks like what the account's owner has put into Junk is filed there; this refuses nobody.",
		},
		{
			Stage: policy.Content, Name: "milter-content", Setting: "policy.milters.servers", Worst: policy.Drop, Exempt: policies | policy.OfRefused, Mode: s.Milters.Mode,
			IDs: []string{"reliability-31"}, Check: policy.CheckFunc(s.Milters.check), Replies: []string{"451 4.7.1", "550 5.7.1", "what a milter says"},
			Doc: "Milters see the whole message, may refuse, hold or throw it away, and may change it.",
		},
	}
	// Where names are judged early, their rows move up.
	slices.SortStableFunc(all, func(a, b policy.Entry) int { return int(a.Stage) - int(b.Stage) })
	for i := range all {
		all[i].Idle = s.idle(&all[i])
		all[i].ModeSetting = modeSetting(&all[i])
	}
	return all
}

// modeSetting names the setting of a check's mode: mode in the group of its
// setting, unless that is a mode itself.
func modeSetting(e *policy.Entry) string {
	if e.Fixed {
		return ""
	}
	switch e.Setting {
	case "policy.origin.full", "policy.origin.known", "policy.names.client", "policy.names.helo_full", "policy.names.helo_known", "policy.names.pipelining":
		return e.Setting
	}
	return e.Setting[:strings.LastIndexByte(e.Setting, '.')] + ".mode"
}

// idle reports a check that asks servers, lists or rules of which none is set.
func (s *Settings) idle(e *policy.Entry) bool {
	switch e.Setting {
	case "policy.milters.servers":
		return len(s.Milters.Servers) == 0
	case "policy.blocklists.lists":
		return len(s.Blocklists.Lists) == 0
	case "policy.attachments.found":
		return len(s.Attachments.Rules()) == 0
	case "policy.virus.found":
		return s.Virus.Server == ""
	case "policy.spam.refuse_from":
		return s.Spam.URL == ""
	}
	return false
}
