package main
import "context"
type config struct { dir string; runs, messages, fill, idle int; only map[string]bool; peers bool; binary string }
func benchmark(ctx context.Context, c config) error { return nil }
