// Package storetest is the suite that every engine behind state/store passes.
// It speaks to an engine through the contract alone, so that SQLite and
// PostgreSQL are held to the same words: what an error leaves behind, in which
// order arrivals become visible, what a second account can reach.
//
// Every test has a store of its own. The last group, Model, runs random
// operations against a simple model of several accounts; pgregory.net/rapid
// prints the seed and a shortened history of a failure.
//
// It deliberately does not know schemas, files or faults: those are tested
// next to each engine.
package storetest

import (
	"os"
	"testing"
	"testing/synctest"

	"posthorn/internal/state/store"
)

// Options say how an engine is to be tested.
type Options struct {
	// Bubble runs each test in virtual time (testing/synctest). An engine that
	// talks over a network cannot run so; its tests wait for fractions of a
	// second where a lease has to end.
	Bubble bool
	// Reopen ends the store and opens the same one again, as a restart does.
	// The store it returns is closed by the test's cleanup. nil leaves the
	// tests of restarts out.
	Reopen func(t *testing.T, s store.Store) store.Store
	// Short makes numbers of messages and random steps small.
	Short bool
}

// group is a part of the contract, test one thing it promises.
type (
	group struct {
		name  string
		tests []test
	}
	test struct {
		name string
		run  func(e *env)
		real bool // runs in real time always, because it waits for nothing
	}
)

// groups is the table of everything that is tested.
var groups = []group{
	{"Accept", acceptTests},
	{"AcceptTogether", acceptTogetherTests},
	{"Body", bodyTests},
	{"Append", appendTests},
	{"Uneven", unevenTests},
	{"Mailbox", mailboxTests},
	{"MailboxNames", mailboxNameTests},
	{"UIDValidity", validityTests},
	{"Flags", flagTests},
	{"Transfer", transferTests},
	{"Expunge", expungeTests},
	{"Retire", retireTests},
	{"Changes", changeTests},
	{"Isolation", isolationTests},
	{"Directory", directoryTests},
	{"Aliases", aliasTests},
	{"Administrators", administratorTests},
	{"Relays", relayTests},
	{"Tokens", tokenTests},
	{"Access", accessTests},
	{"Bans", banTests},
	{"Regulars", regularTests},
	{"Greylist", greylistTests},
	{"GreylistLists", greylistListTests},
	{"Reports", reportTests},
	{"Depth", depthTests},
	{"Settings", settingTests},
	{"Queue", queueTests},
	{"QueueClaims", claimTests},
	{"QueueNotices", noticeTests},
	{"Quarantine", quarantineTests},
	{"Restart", restartTests},
	{"Model", modelTests},
}

// Run tests an engine. open returns an empty store that the test's cleanup
// closes; Close may come twice. POSTHORN_SOAK=1 in the environment makes
// random tests long.
func Run(t *testing.T, open func(t *testing.T) store.Store, o Options) {
	for _, g := range groups {
		t.Run(g.name, func(t *testing.T) {
			for _, one := range g.tests {
				t.Run(one.name, func(t *testing.T) {
					t.Parallel()
					within(t, o.Bubble && !one.real, func(t *testing.T) { one.run(newEnv(t, open(t), o)) })
				})
			}
		})
	}
}

// within runs f, in a bubble of virtual time if asked.
func within(t *testing.T, bubble bool, f func(t *testing.T)) {
	if bubble {
		synctest.Test(t, f)
		return
	}
	f(t)
}

// size chooses the size of a test: short, usual or soak.
func (o Options) size(short, usual, soak int) int {
	switch {
	case os.Getenv("POSTHORN_SOAK") == "1":
		return soak
	case o.Short:
		return short
	}
	return usual
}
