package dsn

import (
	"fmt"
	"time"
)

var english = catalogue{
	tag: "en", name: "English",
	subject:  [actions]string{"Not delivered: {subject}", "Delayed: {subject}", "Delivered: {subject}", "Passed on: {subject}"},
	untitled: "your message",
	lead: [actions]string{
		"Your message{subject} could not be delivered to:",
		"Your message{subject} has not been delivered yet to:",
		"Your message{subject} has been delivered to:",
		"Your message{subject} has been passed on for:",
	},
	titled:    ` "{subject}"`,
	more:      "and {count} more, named in the attached report",
	others:    "There are {count} more recipients to report; the attached report names them all.",
	expired:   "The mail server {host} tried for {time} and has now given up.",
	advice:    "What you can do: {do}",
	sentOn:    "Mail to this address is forwarded to {final}.",
	tell:      "Tell the recipient by other means that the forwarding of this address does not work.",
	wait:      "You need not do anything: the mail server {host} keeps trying. Please do not send the message again.",
	waitUntil: "You need not do anything: the mail server {host} keeps trying until {until} and will tell you if it does not succeed. Please do not send the message again.",
	delivered: "It is in the recipient's mailbox. Whether it has been read is not known.",
	relayed:   "The next mail server has accepted it, but does not send confirmations. You will only hear of this message again if something goes wrong.",
	full:      "Your message is attached.",
	header:    "The header of your message is attached.",
	footer:    "This notice was written by the mail server {host}. If you need help, send all of it to postmaster@{host} or to whoever looks after your mail.",
	details:   "Technical details",
	labels: labels{recipient: "Recipient", final: "Forwarded to", status: "Status", host: "Mail server", reply: "Its reply", reason: "Reason",
		last: "Last attempt", id: "Message-ID", arrived: "Received", queue: "Queue entry", reporter: "Reported by"},
	causes: [causes]advice{
		causeRefused: {"The receiving mail server has refused the message.",
			"Its reply is given below under the technical details and often says what is wrong. If it does not help, reach the recipient by other means."},
		causeTrouble: {"The receiving mail server cannot accept the message at the moment.",
			"Send the message again later. If that fails too, reach the recipient by other means."},
		causeNoAddress: {"This address does not exist at {domain}.",
			"Check the address for typing errors and send the message again. If it looks right, ask the recipient by other means for the current address."},
		causeBadAddress: {"The receiving mail server says that this is not a valid address.",
			"Check the address for typing errors, missing letters and stray spaces, and send the message again."},
		causeMoved: {"The recipient can no longer be reached at this address.",
			"Ask the recipient by other means for the new address."},
		causeNoDomain: {"The part of the address after the @ does not exist: there is no mail domain {domain}.",
			"Check that part for typing errors and send the message again."},
		causeNoMail: {"The domain {domain} does not accept any mail.",
			"Check the part of the address after the @. Perhaps the recipient has an address at another domain."},
		causeSender: {"The receiving mail server does not accept your own address as the sender.",
			"Check the sender address in your mail program. If it is right, ask whoever looks after your mail."},
		causeDisabled: {"The recipient's mailbox is closed.",
			"Ask the recipient by other means which address to use."},
		causeFull: {"The recipient's mailbox is full.",
			"Send the message again in a few days, or tell the recipient by other means that the mailbox is full."},
		causeTooLarge: {"The message is too large for the receiving mail server.",
			"Send it again with fewer or smaller attachments, or share the files by a link."},
		causeSystem: {"The receiving mail server has a technical problem.",
			"Send the message again later. If that fails too, reach the recipient by other means."},
		causeHere: {"The mail server {host} itself has a technical problem.",
			"Nothing is wrong with the address. Send the message again later. If that fails too, ask whoever looks after your mail."},
		causeDNS: {"The next mail server on the way to {domain} could not be found, because the domain name system gave no usable answer.",
			"Check the part of the address after the @. If it is right, send the message again later."},
		causeNoAnswer: {"The next mail server on the way to {domain} does not answer.",
			"Check the part of the address after the @. If it is right, send the message again later or reach the recipient by other means."},
		causeLoop: {"The message went round in circles between mail servers. Often a forwarding leads back to where it began.",
			"You cannot fix this yourself. Send this notice to whoever looks after your mail, and reach the recipient by other means."},
		causeTooMany: {"The message has more recipients than the receiving mail server accepts at once.",
			"Send it again to fewer recipients at a time."},
		causeProtocol: {"The two mail servers did not understand each other.",
			"Send the message again later. If that fails too, send this notice to whoever looks after your mail."},
		causeContent: {"The receiving mail server cannot handle a message in this form.",
			"Send it again as plain text and without unusual attachments."},
		causeInternational: {"The receiving mail server cannot handle addresses with letters other than a to z.",
			"Ask the recipient for an address in plain Latin letters, and use one for yourself too."},
		causePolicy: {"The receiving mail server did not accept this message because its rules forbid it.",
			"Its reply is given below under the technical details. Reach the recipient by other means and ask to be let through."},
		causeSpam: {"The receiving mail server considers this message to be spam.",
			"Change what looks like advertising, such as many links or a subject in capitals, and send it again. Or reach the recipient by other means and ask to be let through."},
		causeMalware: {"The receiving mail server considers the message or an attachment to be harmful, such as a virus.",
			"Check the attachments with a virus scanner before you send anything again. Share harmless files by a link."},
		causeReputation: {"The receiving mail server does not trust the mail server {host}, for example because its address is on a block list. Neither you nor your text is the reason.",
			"You cannot fix this yourself. Send this notice to whoever looks after your mail, and reach the recipient by other means."},
		causeUnverified: {"The receiving mail server could not verify that the message really comes from your domain (SPF, DKIM or DMARC).",
			"Send through the mail server that belongs to your address. If you did, send this notice to whoever looks after your mail."},
		causeRelay: {"The mail server that was reached for {domain} says that it is not responsible for this address.",
			"Check the part of the address after the @. If it is right, tell the recipient by other means that the mail of {domain} is set up wrongly."},
		causeLogin: {"The next mail server demands a login and did not accept that of the mail server {host}.",
			"You cannot fix this yourself. Send this notice to whoever looks after your mail."},
		causeTLS: {"No encrypted connection to the receiving mail server was possible, and this message must not go without.",
			"You cannot fix this yourself. Send this notice to whoever looks after your mail, and reach the recipient by other means."},
		causeGreylist: {"The receiving mail server lets mail from servers it does not know wait for a while. This is common and passes by itself.",
			"Send the message again later. If that fails too, reach the recipient by other means."},
		causeRate: {"The receiving mail server accepts only a limited number of messages at a time.",
			"Send the message again later, and to fewer recipients at a time."},
	},
	span: func(d time.Duration) string {
		if h := int(d.Round(time.Hour).Hours()); h < 48 {
			return count(h, "an hour", "%d hours")
		}
		return fmt.Sprintf("%d days", int((d+12*time.Hour).Hours()/24))
	},
	date: func(t time.Time) string { return t.Format("Monday, 2 January 2006, 15:04 MST") },
}

// count chooses between singular and plural; less than one is one.
func count(n int, one, many string) string {
	if n <= 1 {
		return one
	}
	return fmt.Sprintf(many, n)
}
