// Package junk is the statistical spam filter: it learns what one account
// calls junk from what its owner moves into and out of Junk, and says of a
// message how probably it is the same.
//
// A message stands here twice. Before it is filed, Filter.Read takes its
// tokens (words, links, names of files, marks of the header section) and
// Filter.Score judges them. Later, when its owner moves it, a Learner reads it
// again in the background and teaches the filter. What Score says is advice:
// policy decides what becomes of the message.
//
//	message ─ Read ─► Tokens ─┬─ Score ─► Judgement
//	                          └─ Learn ─► runs of counts, one set for each account and one of all
//
// What was learned lies in one SQLite file of its own. Tokens are stored as
// keyed hashes, so that the file tells no words; the words in a Judgement come
// from the message judged. Losing the file loses no mail: what is damaged is
// set aside and learning begins anew.
//
// The package knows no mailboxes, no flags and no folder names, and it fetches
// no message by itself.
package junk

import (
	"errors"
	"io"
	"net/netip"
	"time"

	"posthorn/internal/base/unit"
	"posthorn/internal/wire/mime"
)

// Account is the number of an account as the store gives it, greater than 0.
type Account int64

// everybody is the row of what all accounts taught together.
const everybody Account = 0

// Class is what a message is to the owner of an account.
type Class uint8

// The classes. Unlearned takes back what was learned of a message.
const (
	Unlearned Class = iota
	Spam
	Ham
)

// String returns the word for logs.
func (c Class) String() string { return [...]string{"unlearned", "spam", "ham"}[c] }

// Settings bound and steer the filter.
type Settings struct {
	// Learn teaches the filter what people put into Junk and take out of it, and
	// what their mail programs mark as junk or not junk. Without it the filter goes
	// on judging by what it knows.
	Learn bool `default:"true"`
	// MinLearned is how many messages of each kind must be learned before the filter judges.
	MinLearned int `default:"20" min:"1" max:"10000"`
	// Shared lets accounts that have learned little profit from what the others taught.
	Shared bool `default:"true"`
	// MaxTokens is how many different words and marks are remembered for one account; rare and old ones go first.
	MaxTokens int `default:"200000" min:"10000" max:"1000000"`
	// MaxSize is the space that what was learned may take; the accounts that learned longest ago go first.
	MaxSize unit.Size `default:"1GB" min:"16MB"`
}

// Message is what Read takes tokens from.
type Message struct {
	Structure *mime.Structure
	// Content is the whole message, as Structure describes it.
	Content io.ReaderAt
	// Client is who handed the message in. Where it is zero, Read takes it from
	// the topmost Received field if this server wrote that: a filed message
	// gives the same tokens as the one that was judged.
	Client Client
}

// Client is the host that handed a message in.
type Client struct {
	Addr netip.Addr
	Helo string
	// Name is the verified reverse name, "" unknown.
	Name string
}

// Lesson says what one message is to one account.
type Lesson struct {
	Account Account
	// Key names the message within the account, the same whenever it is learned.
	Key string
	// Class is what it is from now on; Unlearned forgets it.
	Class Class
	// Tokens are those of the message. What is taken back is taken with them.
	Tokens *Tokens
}

// Judgement is what the filter thinks of one message.
type Judgement struct {
	// Known is false while too little was learned; Probability is 0.5 then.
	Known bool
	// Probability, between 0 and 1, is near 1 for spam, near 0 for ham, and
	// about 0.5 where nothing or everything speaks for both.
	Probability float64
	// Spam and Ham count the messages the account learned.
	Spam, Ham int
	// SharedSpam and SharedHam count those of other accounts that helped.
	SharedSpam, SharedHam int
	// Tokens counts the tokens of the message, Telling those that decided.
	Tokens, Telling int
	// Reasons are the strongest tokens, strongest first, at most MaxReasons.
	Reasons []Reason
}

// Reason is one token of the message judged and what speaks from it.
type Reason struct {
	// Where says what kind of token it is: "word", "subject", "link" and so on.
	Where string
	// Text is the token, printable and at most MaxReason octets.
	Text string
	// Probability is the token's own, as Judgement.Probability.
	Probability float64
	// Spam and Ham count the learned messages of the account that have it.
	Spam, Ham int
}

// Bounds of the explanation.
const (
	MaxReasons = 12
	MaxReason  = 64
)

// SpamAt is the probability from which a message is spam as a rule: below it
// the answer is "unsure" down to HamAt, and "not spam" below that. Both are
// the cutoffs SpamBayes recommends.
const (
	SpamAt = 0.90
	HamAt  = 0.20
)

// ErrClosed is returned after Close.
var ErrClosed = errors.New("junk: closed")

// today is the number of the day by which tokens grow old.
func today() uint16 { return uint16(time.Now().Unix() / 86400) }
