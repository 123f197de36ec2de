//go:build nosync_for_test

package blob

import "os"

// without names the kind of sync that is left out, "bodies" or "log"; it is read
// at the start, so that what is set up before can be durable.
var without = os.Getenv("POSTHORN_WITHOUT_SYNC")

// One of them is false when the environment says so. Never ship this build.
var (
	SyncsBodies = without != "bodies"
	SyncsLog    = without != "log"
)
