//go:build !race

package imapd

// raceEnabled says that memory cannot be measured.
const raceEnabled = false
