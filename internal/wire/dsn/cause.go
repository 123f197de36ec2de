package dsn

import (
	"strings"

	"posthorn/internal/base/reply"
)

// cause is what people are told about a reply: a sentence and an advice in
// each catalogue.
type cause uint8

const (
	causeRefused cause = iota // permanent, nothing better known
	causeTrouble              // temporary, nothing better known
	causeNoAddress
	causeBadAddress
	causeMoved
	causeNoDomain
	causeNoMail
	causeSender
	causeDisabled
	causeFull
	causeTooLarge
	causeSystem
	causeHere // a trouble of this server itself
	causeDNS
	causeNoAnswer
	causeLoop
	causeTooMany
	causeProtocol
	causeContent
	causeInternational
	causePolicy
	causeSpam
	causeMalware
	causeReputation
	causeUnverified
	causeRelay
	causeLogin
	causeTLS
	causeGreylist
	causeRate
	causes
)

// known is what a subject and detail of RFC 3463, or of the registry it
// started (RFC 5248), mean to people. vague ones are used by so many servers
// for so much that the words of the reply say more.
type known struct {
	cause cause
	vague bool
}

var byStatus = map[[2]uint16]known{
	{1, 0}: {causeRefused, true}, {1, 1}: {causeNoAddress, false}, {1, 2}: {causeNoDomain, false}, {1, 3}: {causeBadAddress, false},
	{1, 4}: {causeNoAddress, false}, {1, 6}: {causeMoved, false}, {1, 7}: {causeSender, false}, {1, 8}: {causeSender, false},
	{1, 10}: {causeNoMail, false},
	{2, 1}:  {causeDisabled, false}, {2, 2}: {causeFull, false}, {2, 3}: {causeTooLarge, false},
	{3, 0}: {causeTrouble, true}, {3, 1}: {causeSystem, false}, {3, 2}: {causeSystem, true}, {3, 3}: {causeContent, true},
	{3, 4}: {causeTooLarge, false}, {3, 5}: {causeSystem, false},
	{4, 0}: {causeNoAnswer, true}, {4, 1}: {causeNoAnswer, true}, {4, 2}: {causeNoAnswer, false}, {4, 3}: {causeDNS, false}, {4, 4}: {causeDNS, false},
	{4, 5}: {causeSystem, false}, {4, 6}: {causeLoop, false}, {4, 14}: {causeLoop, false},
	{5, 0}: {causeProtocol, true}, {5, 1}: {causeProtocol, true}, {5, 2}: {causeProtocol, true}, {5, 3}: {causeTooMany, false},
	{5, 4}: {causeProtocol, true}, {5, 5}: {causeProtocol, true},
	{6, 0}: {causeContent, true}, {6, 1}: {causeContent, false}, {6, 2}: {causeContent, false}, {6, 3}: {causeContent, false},
	{6, 5}: {causeContent, false}, {6, 6}: {causeContent, false}, {6, 7}: {causeInternational, false}, {6, 8}: {causeInternational, false},
	{6, 9}: {causeInternational, false}, {6, 10}: {causeInternational, false}, {6, 11}: {causeContent, false},
	{7, 0}: {causePolicy, true}, {7, 1}: {causePolicy, true}, {7, 2}: {causePolicy, false}, {7, 3}: {causeTLS, false},
	{7, 4}: {causeTLS, true}, {7, 5}: {causeTLS, true}, {7, 6}: {causeTLS, false}, {7, 7}: {causeUnverified, false},
	{7, 8}: {causeLogin, false}, {7, 9}: {causeLogin, false}, {7, 10}: {causeTLS, false}, {7, 11}: {causeTLS, false},
	{7, 12}: {causeLogin, false}, {7, 13}: {causeLogin, false}, {7, 14}: {causeLogin, false}, {7, 16}: {causeTooLarge, false},
	{7, 17}: {causeMoved, false}, {7, 18}: {causeMoved, false},
	{7, 20}: {causeUnverified, false}, {7, 21}: {causeUnverified, false}, {7, 22}: {causeUnverified, false}, {7, 23}: {causeUnverified, false},
	{7, 24}: {causeUnverified, false}, {7, 25}: {causeReputation, false}, {7, 26}: {causeUnverified, false}, {7, 27}: {causeSender, false},
	{7, 28}: {causeRate, false}, {7, 29}: {causeUnverified, false}, {7, 30}: {causeTLS, false},
}

// byWords are looked for, in order, in the text of a reply whose status is
// vague.
var byWords = []struct {
	words string // separated by "|"
	cause cause
}{
	{"greylist|graylist|grey-list|greylisted|grey listed", causeGreylist},
	{"virus|malware|infected", causeMalware},
	{"relay access denied|relaying denied|unable to relay|not permitted to relay|relay not permitted|relaying is not|we do not relay|no relaying", causeRelay},
	{"spamhaus|spamcop|blocklist|block list|block-list|blacklist|black list|dnsbl| rbl|blocked using|reputation|reverse dns|ptr record", causeReputation},
	{"dmarc|dkim| spf", causeUnverified},
	{"user unknown|unknown user|no such user|user not found|user does not exist|no such recipient|recipient unknown|unknown recipient|recipient not found|" +
		"no such mailbox|mailbox not found|unknown mailbox|no mailbox|mailbox unavailable|address unknown|unknown address|does not exist|no such address|invalid recipient|recipient address rejected: access denied", causeNoAddress},
	{"mailbox full|mailbox is full|over quota|overquota|quota exceeded|exceeded its quota|exceeds the quota|storage", causeFull},
	{"too large|too big|size limit|maximum size|message size|file size", causeTooLarge},
	{"spam|unsolicited|bulk mail", causeSpam},
	{"rate limit|too many|too fast|too much mail|throttl|deferred due to", causeRate},
	{"authentication required|must authenticate|authentication failed|auth first|offers no login|the login at", causeLogin},
	{"starttls|encryption required|must be encrypted|certificate", causeTLS},
	{"disabled|inactive|suspended|deactivated", causeDisabled},
	{"timed out|timeout|connection refused|no route|unreachable", causeNoAnswer},
}

// codes are for replies without an enhanced status code.
var codes = map[int]cause{530: causeLogin, 534: causeLogin, 535: causeLogin, 538: causeTLS, 551: causeMoved, 556: causeNoMail}

// cause finds what to tell about what became of a recipient.
func (r *Recipient) cause() cause {
	c := causeOf(r.Reply, r.Action == Failed && !r.Expired)
	if r.Host == "" && (c == causeSystem || c == causeTrouble || c == causeRefused) {
		return causeHere
	}
	return c
}

// causeOf finds what a reply means. permanent says how the recipient fared,
// whatever class the reply has.
func causeOf(r reply.Reply, permanent bool) cause {
	text := strings.ToLower(r.String())
	return settle(meaning(r.Enhanced, r.Code, text), permanent && r.Enhanced.Class != 4)
}

// meaning looks at the status, then at the words, then at the code.
func meaning(e reply.Enhanced, code int, text string) cause {
	found, ok := byStatus[[2]uint16{e.Subject, e.Detail}]
	if ok && !found.vague {
		return found.cause
	}
	if c, ok := fromWords(text); ok {
		return c
	}
	if c, ok := codes[code]; ok {
		return c
	}
	if ok {
		return found.cause
	}
	return causeRefused
}

// settle makes cause and fate agree. What a server that may change its mind has
// not meant for good is a trouble: a temporary "no such address" says that it
// could not ask.
func settle(c cause, permanent bool) cause {
	switch {
	case permanent && c == causeTrouble:
		return causeRefused
	case permanent:
		return c
	case c == causeNoAddress || c == causeBadAddress || c == causeMoved || c == causeNoDomain || c == causeNoMail || c == causeSender || c == causeProtocol:
		return causeTrouble
	case c == causePolicy || c == causeRefused:
		return causeTrouble
	}
	return c
}

func fromWords(text string) (cause, bool) {
	for i := range byWords {
		for word := range strings.SplitSeq(byWords[i].words, "|") {
			if strings.Contains(text, word) {
				return byWords[i].cause, true
			}
		}
	}
	return 0, false
}
