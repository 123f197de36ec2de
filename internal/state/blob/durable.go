//go:build !nosync_for_test

package blob

// Durable is false only in the build that exists to show that the power-cut
// test notices missing syncs (tag nosync_for_test).
const Durable = true
