//go:build nosync_for_test

package blob

// Durable is false: nothing is synced. Never ship this build.
const Durable = false
