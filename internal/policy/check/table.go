package check

import "posthorn/internal/policy"

// Table lists every check, stage by stage in the order they are asked: these
// are the house rules. The settings must not change while it is used.
func Table(s *Settings) []policy.Entry {
	const (
		anybody  = policy.Exemption(0)
		classes  = policy.FromTrustedClass
		policies = policy.ToPostmaster | policy.FromTrustedClass
	)
	return []policy.Entry{
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
			IDs: []string{"reliability-37"}, Check: &s.Room, Replies: []string{"452 4.3.1", "451 4.3.0"},
			Doc: "While the disk is nearly full, or the store has turned read-only after a failed write, mail is refused for now.",
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
			Stage: policy.Rcpt, Name: "recipient-limit", Setting: "policy.recipients.inbound", Worst: policy.Reject, Exempt: classes, Mode: s.Recipients.Mode,
			IDs: []string{"M-GEN-09"}, Check: policy.CheckFunc(s.Recipients.atRcpt), Replies: []string{"452 4.5.3", "550 5.5.3"},
			Doc: "A message has at most so many accepted recipients. Senders outside are asked to bring the others in another message; for users the whole message is refused.",
		},
		{
			Stage: policy.Rcpt, Name: "quota", Setting: "policy.quota.permanent", Worst: policy.Reject, Exempt: anybody, Mode: s.Quota.Mode,
			IDs: []string{"ORD-03"}, Check: &s.Quota, Replies: []string{"452 4.2.2", "552 5.2.2"},
			Doc: "A mailbox that is full takes no more mail, for now or for good as the setting says.",
		},
		{
			Stage: policy.Data, Name: "recipient-limit-data", Setting: "policy.recipients.inbound", Worst: policy.Reject, Exempt: classes, Mode: s.Recipients.Mode,
			IDs: []string{"M-GEN-09"}, Check: policy.CheckFunc(s.Recipients.atData), Replies: []string{"554 5.5.3"},
			Doc: "A message of a user that lost recipients to the limit is refused whole, so that its author sees one clear failure.",
		},
		{
			Stage: policy.Content, Name: "size", Setting: "policy.size.inbound", Worst: policy.Reject, Exempt: anybody, Fixed: true,
			IDs: []string{"M-GEN-11", "B1G-GEN-03"}, Check: policy.CheckFunc(s.Size.atContent), Replies: []string{"552 5.3.4"},
			Doc: "A message of more octets than the limit of its direction is refused after it was read.",
		},
		{
			Stage: policy.Content, Name: "hops", Setting: "policy.hops.inbound", Worst: policy.Reject, Exempt: anybody, Fixed: true,
			IDs: []string{"M-GEN-10"}, Check: &s.Hops, Replies: []string{"554 5.4.6"},
			Doc: "A message that has passed too many servers, or was delivered to one of its recipients before, goes round in a loop and is refused.",
		},
		{
			Stage: policy.Content, Name: "author-owned", Setting: "policy.sender.owned", Worst: policy.Reject, Exempt: classes, Mode: s.Sender.Mode,
			IDs: []string{"M-GEN-03", "M-GEN-04"}, Check: policy.CheckFunc(s.Sender.author), Replies: []string{"554 5.7.1"},
			Doc: "Whoever has logged in may name only addresses of the account in the From field.",
		},
	}
}
