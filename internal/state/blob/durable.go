//go:build !nosync_for_test

package blob

// Syncs of bodies and of the database's log are left out only in the build that
// exists to show that the power-cut test notices missing ones (tag
// nosync_for_test).
const (
	SyncsBodies = true
	SyncsLog    = true
)
