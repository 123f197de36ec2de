//go:build race

package limit

const raced = true
